/** The options of `connect`, and the check of their values. Errors name the option as the script
 *  does. They are thrown before any file or socket is opened. */

import { MAX } from "../config/option_kinds.ts";
import { ipOrUndefined } from "../codec/ip.ts";
import { UsageError } from "../errors.ts";
import { CHECKED, checkValues, type OptionCheck } from "../library_options.ts";

/** A version of TLS, as `ConnectOptions` name it. */
export type ProtocolVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** The options of `connect`. Numbers are integers; times are in seconds. An option that is missing or
 *  `undefined` has its default. An unknown option, or a value of the wrong type or out of range, is
 *  a `UsageError`. */
export interface ConnectOptions {
  /** A name, an address, or `0` for this machine. The certificate must be for it. */
  hostname: string;
  /** Port to connect to, from 1 to 65535. */
  port: number;
  /** Connect only by IPv4 or by IPv6. Default: both are tried, IPv4 first. */
  family?: 4 | 6 | undefined;
  /** Seconds for the connection to each address, and for the handshake; at least 1. Default: as
   *  `sslclient -T 2+58`. */
  connectTimeout?: number | undefined;
  /** Seconds without traffic in either direction after which the connection is ended; at least 1.
   *  Default: 3600. */
  idleTimeout?: number | undefined;
  /** True: if the server's data end with a FIN and without close_notify, reads fail, because the data
   *  may have been truncated. Some servers never send close_notify. Default: false. */
  requireCloseNotify?: boolean | undefined;
  /** Local address to connect from. Under Deno it needs FFI. */
  localAddress?: string | undefined;
  /** Local port to connect from. Under Deno it needs FFI. */
  localPort?: number | undefined;
  /** PEM text of the trusted authorities. Default: the files that CAFILE and CADIR in `env` name,
   *  else those of the system. CRLFILE in `env` names revocation lists. */
  ca?: string | undefined;
  /** False: do not verify the certificate chain. Default: true. */
  verifyChain?: boolean | undefined;
  /** False: the certificate may be for any name. Default: true. */
  verifyName?: boolean | undefined;
  /** Maximum number of certificates between the server's and the authority's, from 0 to 100.
   *  Default: 4. */
  depth?: number | undefined;
  /** PEM text of the client certificate and its chain, for servers that ask for one. */
  cert?: string | undefined;
  /** PEM text of its key. Needs `cert`. Default: the key is in `cert`. */
  key?: string | undefined;
  /** Password of an encrypted key. */
  passphrase?: string | undefined;
  /** Protocols offered by ALPN, best first. */
  alpn?: readonly string[] | undefined;
  /** Cipher suites for TLS 1.2, as a cipher list of OpenSSL. Needs Bun. */
  ciphers?: string | undefined;
  /** Lowest version offered. Default: TLSv1.2. */
  minVersion?: ProtocolVersion | undefined;
  /** Highest version offered. Default: TLSv1.3. */
  maxVersion?: ProtocolVersion | undefined;
  /** The variables from which settings are read (CAFILE, CADIR, CRLFILE, DNSCACHEIP). Default: the
   *  environment of this process. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Gets warnings about files: one or more lines per call, each with its newline. Default: writes
   *  to stderr. */
  log?: ((lines: string) => void) | undefined;
  /** When it aborts, connecting ends, or the connection is closed. Default: none. */
  signal?: AbortSignal | undefined;
}

const VERSIONS: readonly ProtocolVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

const { text, truth, whole, oneOf, environment, signal, log } = CHECKED;

const CHECKS: { readonly [Name in keyof ConnectOptions]-?: OptionCheck } = {
  hostname: text,
  port: whole(1, 65_535),
  family: (value) => value === 4 || value === 6 ? undefined : "4 or 6",
  connectTimeout: whole(1, MAX.seconds),
  idleTimeout: whole(1, MAX.seconds),
  requireCloseNotify: truth,
  localAddress: (value) =>
    typeof value === "string" && ipOrUndefined(value) ? undefined : "an address",
  localPort: whole(1, 65_535),
  ca: text,
  verifyChain: truth,
  verifyName: truth,
  depth: whole(0, 100),
  cert: text,
  key: text,
  passphrase: text,
  alpn: protocols,
  ciphers: text,
  minVersion: oneOf(...VERSIONS),
  maxVersion: oneOf(...VERSIONS),
  env: environment,
  log,
  signal,
};

/** Checks the argument of `connect`. Throws `UsageError`. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkValues("connect", options, CHECKS);
  if (options.hostname === undefined) throw new UsageError("option hostname is missing");
  if (options.port === undefined) throw new UsageError("option port is missing");
  if (options.key !== undefined && options.cert === undefined) {
    throw new UsageError("option key needs cert, too");
  }
  const { minVersion = "TLSv1.2", maxVersion = "TLSv1.3" } = options;
  if (VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    throw new UsageError(`option minVersion ${minVersion} is above maxVersion ${maxVersion}`);
  }
}

/** RFC 7301 3.1: each name has 1 to 255 bytes. */
function protocols(value: unknown): string | undefined {
  const good = Array.isArray(value) && value.length > 0 &&
    value.every((name) => typeof name === "string" && /^[\x21-\x7e]{1,255}$/.test(name));
  return good ? undefined : "an array of protocol names, such as ['h2', 'http/1.1']";
}
