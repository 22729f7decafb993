/** The settings of `s_server` as variables that sslserver reads. */

import type { Env } from "./variables.ts";

/** What the options of `s_server` say about TLS. Absent values are not set. */
export interface TlsValues {
  /** Paths, separated by colons. */
  readonly certificates?: string | undefined;
  readonly keys?: string | undefined;
  /** The certificate and key of one server name. */
  readonly named?: { name: string; certificate: string; key: string } | undefined;
  readonly minVersion: string;
  readonly maxVersion: string;
  readonly ciphers?: string | undefined;
  readonly alpn?: string | undefined;
  readonly groups?: string | undefined;
  /** Undefined: no certificate is asked for. */
  readonly clients?: ClientValues | undefined;
}

/** Empty values switch what the environment says off. */
export interface ClientValues {
  readonly caFile: string;
  readonly caDir: string;
  /** A file with the certificates whose names are sent; empty: those that are trusted. */
  readonly names: string;
  readonly lists?: string | undefined;
  readonly depth?: number | undefined;
}

/** Variables that do not count: options alone name these files. */
const OWN = /^(?:CERTFILE|CERTCHAINFILE|KEYFILE|CRLFILE)(?::|$)/;

/** Returns the environment with the values in it. */
export function withTlsValues(env: Env, values: TlsValues): Record<string, string> {
  const { named, clients } = values;
  const set: Record<string, string | undefined> = {
    CERTFILE: values.certificates,
    KEYFILE: values.keys,
    ...(named
      ? { [`CERTFILE:${named.name}`]: named.certificate, [`KEYFILE:${named.name}`]: named.key }
      : {}),
    TLS_MIN_VERSION: values.minVersion,
    TLS_MAX_VERSION: values.maxVersion,
    CIPHERS: values.ciphers,
    ALPN: values.alpn,
    CURVES: values.groups,
    ...(clients
      ? {
        CAFILE: clients.caFile,
        CADIR: clients.caDir,
        CCAFILE: clients.names,
        CCADIR: "",
        CRLFILE: clients.lists,
        VERIFYDEPTH: clients.depth === undefined ? undefined : String(clients.depth),
      }
      : {}),
  };
  const kept = Object.entries(env).filter(([name]) => !OWN.test(name));
  const entries = [...kept, ...Object.entries(set)];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Sets the cipher suites if nothing else does. */
export function addCiphers(env: Record<string, string>, ciphers: string): void {
  env["CIPHERS"] ??= ciphers;
}
