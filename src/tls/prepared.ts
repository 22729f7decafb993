/** Makes what a handshake needs from settings and key pairs. Reads no file. */

import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { decodePem } from "../codec/x509/pem.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import type { KeyPair, Runtime, TlsContext, TlsSettings, TlsVersion } from "../runtime/runtime.ts";
import type { ClientAuth } from "./client_auth.ts";
import type { ServerKeyPair } from "./key_pairs.ts";
import { refusing } from "./server_key.ts";
import type { TlsConfig } from "./settings.ts";
import { serverVariables } from "./variables.ts";

/** What a handshake needs, and facts that are known before it. */
export interface Prepared {
  context: TlsContext;
  /** The `SSL_SERVER_*` variables of the first certificate. */
  serverVariables: ReadonlyMap<ConnectionVariable, string>;
  /** The server's own certificates. */
  certificates: readonly Certificate[];
}

/** Settings that no variable has. They apply to every context of a server. */
export type ContextOptions = Pick<TlsSettings, "tickets" | "cipherOrder">;

/** Modern suites only. Those for versions below TLS 1.2 are added if such a version is
 *  permitted. */
const CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";
export const OLD_CIPHERS = `${CIPHERS}:ECDHE+AES:RSA+AES`;

/** The cipher list if none is configured. */
export function defaultCiphers(minVersion: TlsVersion): string {
  return minVersion === "TLSv1" || minVersion === "TLSv1.1" ? OLD_CIPHERS : CIPHERS;
}

/** Makes the TLS context. Throws `FatalError` for a setting or key that the library refuses, and
 *  the library's error otherwise. */
export function prepare(
  runtime: Pick<Runtime, "tlsContext" | "cipherLists">,
  { minVersion, maxVersion, alpn, groups, ciphers: own }: TlsConfig,
  auth: ClientAuth | undefined,
  keyPairs: (KeyPair & Partial<ServerKeyPair>)[],
  more: ContextOptions = {},
): Prepared {
  const ciphers = own ?? (runtime.cipherLists ? defaultCiphers(minVersion) : undefined);
  // Bun's library would refuse every certificate that is not valid.
  const required = auth?.required && auth.refusesInvalid && auth.namesAreTrust;
  const context = refusing(own, keyPairs[0], () =>
    runtime.tlsContext({
      keyPairs,
      minVersion,
      maxVersion,
      ...more,
      ...(ciphers ? { ciphers } : {}),
      ...(alpn ? { alpn } : {}),
      ...(groups ? { groups } : {}),
      ...(auth ? { requestCertificate: { ca: auth.names, required: !!required } } : {}),
    }));
  const certificates = keyPairs.flatMap((pair) => pair.leaf ?? firstOf(pair));
  const [leaf] = certificates;
  return { context, serverVariables: leaf ? serverVariables(leaf) : new Map(), certificates };
}

/** Returns the certificate of a pair that only has PEM (--self-signed). */
function firstOf({ chain }: KeyPair): Certificate[] {
  const [block] = decodePem(new TextEncoder().encode(chain));
  return block ? [readCertificate(block.bytes)] : [];
}
