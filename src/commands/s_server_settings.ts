/** What the options of `s_server` have said. Data and defaults; s_server_table.ts fills it,
 *  s_server_translation.ts makes options and environment of it. */

import { defaults, type Options } from "../config/options.ts";
import type { TlsVersion } from "../runtime/runtime.ts";

/** A certificate, its key, and what is sent after it. */
export interface KeyPairFiles {
  certificate: string | undefined;
  key: string | undefined;
  chain: string | undefined;
  /** Where the password of the key comes from, as openssl(1) writes it. */
  password: string | undefined;
}

/** What serves a connection: a terminal, or what an option names. */
export type ServerMode = "terminal" | "www" | "WWW" | "HTTP" | "rev";

/** Paths of authorities, as the options give them. */
export interface Authorities {
  file: string | undefined;
  folder: string | undefined;
  /** -no-CAfile, -no-CApath: those of the system do not count. */
  systemFile: boolean;
  systemFolder: boolean;
}

export interface ServerSettings {
  /** The options of sslserver that have names of their own here. */
  readonly options: Options;
  host: string;
  port: string;
  readonly identity: KeyPairFiles;
  readonly second: KeyPairFiles;
  readonly named: KeyPairFiles;
  serverName: string | undefined;
  readonly authorities: Authorities;
  /** -verifyCAfile, -verifyCApath. */
  verifyFile: string | undefined;
  verifyFolder: string | undefined;
  /** -chainCAfile. */
  chainFile: string | undefined;
  caNames: boolean;
  /** -verify asks, -Verify requires. */
  asks: "no" | "asks" | "requires";
  depth: number | undefined;
  refusesInvalid: boolean;
  crl: string | undefined;
  readonly versions: Set<TlsVersion>;
  minVersion: TlsVersion | undefined;
  maxVersion: TlsVersion | undefined;
  ciphers: string | undefined;
  groups: string | undefined;
  alpn: string | undefined;
  mode: ServerMode;
  quiet: boolean;
  /** -brief; then `quiet` is true, too. */
  brief: boolean;
  crlf: boolean;
  /** -ign_eof, -no_ign_eof. Undefined: as -quiet says. */
  ignoresEnd: boolean | undefined;
  /** -naccept. */
  connections: number | undefined;
  state: boolean;
  messages: boolean;
  decoded: boolean;
  dump: boolean;
  extensions: boolean;
  /** -msgfile. */
  messageFile: string | undefined;
}

const nobody = (): KeyPairFiles => ({
  certificate: undefined,
  key: undefined,
  chain: undefined,
  password: undefined,
});

/** The settings of a command line without options. */
export function defaultSettings(): ServerSettings {
  return {
    options: {
      ...defaults(),
      name: "s_server",
      workers: 0,
      remoteName: false,
      ownName: false,
      idleTimeout: NO_LIMIT,
      handshakeTimeout: 0,
      drainTimeout: 1, // a signal ends the server, as there
      cipherOrder: "client",
    },
    host: ":0",
    port: "4433",
    identity: nobody(),
    second: nobody(),
    named: nobody(),
    serverName: undefined,
    authorities: { file: undefined, folder: undefined, systemFile: true, systemFolder: true },
    verifyFile: undefined,
    verifyFolder: undefined,
    chainFile: undefined,
    caNames: true,
    asks: "no",
    depth: undefined,
    refusesInvalid: false,
    crl: undefined,
    versions: new Set<TlsVersion>(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    minVersion: undefined,
    maxVersion: undefined,
    ciphers: undefined,
    groups: undefined,
    alpn: undefined,
    mode: "terminal",
    quiet: false,
    brief: false,
    crlf: false,
    ignoresEnd: undefined,
    connections: undefined,
    state: false,
    messages: false,
    decoded: false,
    dump: false,
    extensions: false,
    messageFile: undefined,
  };
}

/** OpenSSL's server has no idle limit. This is the longest that the timers can do, in seconds. */
const NO_LIMIT = 2_000_000;
