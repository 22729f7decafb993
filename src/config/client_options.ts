/** The options of the clients (`sslclient` and its kin): their values, units and defaults. */

import type { Print } from "./options.ts";

/** Times are in seconds. */
export interface ClientOptions {
  /** 0 nothing, 1 errors, 2 also the address, the protocol and the cipher. */
  verbosity: 0 | 1 | 2;
  /** -4, -6: the address family in which `host` is resolved; both by default. */
  family: 4 | 6 | undefined;
  /** -T: of several addresses, each is tried for `first`, then those that timed out are tried for
   *  `further`. The limit for a single address, and for the handshake, is the sum. */
  timeout: { first: number; further: number };
  /** -i, -p: the local end; the system chooses it by default. */
  localIp: string | undefined;
  localPort: number | undefined;
  /** -I: the interface of a link-local address. */
  interface: string | undefined;
  /** -D and the default: TCP_NODELAY. */
  noDelay: boolean;
  /** -3: the password of the key is read from descriptor 3. */
  keyPassword: boolean;
  /** -a, -A: authorities in place of CAFILE, CADIR and the system's. */
  caFile: string | undefined;
  caDir: string | undefined;
  /** -c, -k: the client certificate and its key. */
  certFile: string | undefined;
  keyFile: string | undefined;
  /** -V: maximum number of intermediates between the server's certificate and the authority's. */
  depth: number;
  /** -z: OpenSSL cipher list for TLS up to 1.2. */
  ciphers: string | undefined;
  /** -x, -X. */
  checkChain: boolean;
  /** -n, -N. */
  checkName: boolean;
  /** -h, -H: look up the server's name for the program. */
  remoteName: boolean;
  /** -l. */
  localName: string | undefined;
  /** -r, -R, -t. */
  ident: boolean;
  identTimeout: number;
  /** -w. */
  idleTimeout: number;
  /** -s: mod_ssl's variables. */
  tlsVariables: boolean;
  /** -e: tcpclient's variables. */
  tcpVariables: boolean;
  /** A name, an address, or `0` for this machine. */
  host: string;
  port: string;
  command: string[];
}

export type ParsedClient = Print | { connect: ClientOptions };

/** The options of a command line without any. */
export function clientDefaults(): ClientOptions {
  return {
    verbosity: 1,
    family: undefined,
    timeout: { first: 2, further: 58 },
    localIp: undefined,
    localPort: undefined,
    interface: undefined,
    noDelay: true,
    keyPassword: false,
    caFile: undefined,
    caDir: undefined,
    certFile: undefined,
    keyFile: undefined,
    depth: 1,
    ciphers: undefined,
    checkChain: true,
    checkName: true,
    remoteName: true,
    localName: undefined,
    ident: false,
    identTimeout: 26,
    idleTimeout: 3600,
    tlsVariables: false,
    tcpVariables: false,
    host: "",
    port: "",
    command: [],
  };
}
