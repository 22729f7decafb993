/** Verifies the server: its chain by the rules of `tls/verify.ts`, and that its certificate is for
 *  the host that the user named. It opens no connection. The TLS library checks only, in the
 *  handshake, that the server has the private key of its certificate. */

import { DecodeError } from "../codec/bytes.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import type { Env } from "../config/variables.ts";
import { EXIT, FatalError } from "../errors.ts";
import { type Files, localFiles } from "../files/files.ts";
import type { ChainFault } from "../tls/chain_fault.ts";
import { sentChain } from "../tls/sent_chain.ts";
import { SYSTEM_BUNDLES, systemAuthorities } from "../tls/system_authorities.ts";
import type { Trust } from "../tls/trust.ts";
import { loadTrust, type TrustFiles } from "../tls/trust_files.ts";
import { verifyChain } from "../tls/verify.ts";
import { isFor } from "./host_name.ts";

export interface ServerVerifierConfig {
  /** -x, -X: verify the chain. */
  readonly checkChain: boolean;
  /** -n, -N: verify that the certificate is for the host. */
  readonly checkName: boolean;
  /** -V: maximum number of intermediates between the server's certificate and the authority's. */
  readonly depth: number;
  /** -a and -A. Default: the authorities of CAFILE and CADIR, or those of the system. */
  readonly caFile?: string | undefined;
  readonly caDir?: string | undefined;
  /** CAFILE, CADIR, CRLFILE, SSL_CERT_FILE and SSL_CERT_DIR are read. */
  readonly env: Env;
  readonly files?: Files;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Why a server is refused. Its certificates and names are untrusted. */
export type ServerFault =
  | { readonly kind: "chain"; readonly fault: ChainFault; readonly depth: number }
  | { readonly kind: "host"; readonly host: string; readonly certificate: Certificate };

/** Returns why the server is refused; undefined if it is accepted. `chain`: its certificates in
 *  DER, its own first. `host`: a name, an address or `0`, as the user gave it. */
export type ServerVerifier = (
  chain: readonly Uint8Array[],
  host: string,
) => ServerFault | undefined;

/** Reads the authorities and returns the verifier, and warnings about files that could not be used.
 *  Throws `FatalError` if there is no authority, or a revocation list cannot be used. */
export function serverVerifier(
  config: ServerVerifierConfig,
): { readonly verify: ServerVerifier; readonly warnings: readonly string[] } {
  const { checkChain, checkName, depth, now = Date.now } = config;
  const loaded = checkChain ? loadTrust(...sources(config)) : undefined;
  const verify: ServerVerifier = (chain, host) =>
    (loaded && chainFault(chain, loaded.trust, depth, now())) ??
      (checkName ? nameFault(chain, host, depth) : undefined);
  return { verify, warnings: loaded?.problems ?? [] };
}

/** The arguments of `loadTrust`. */
function sources(
  { caFile, caDir, env, files = localFiles }: ServerVerifierConfig,
): Parameters<typeof loadTrust> {
  const crlFile = env.CRLFILE || undefined;
  const lazily = (from: Pick<TrustFiles, "caFile" | "caDir">): Parameters<typeof loadTrust> => [
    { ...from, crlFile },
    files,
    undefined,
    true,
  ];
  if (caFile || caDir) return lazily({ caFile, caDir });
  if (env.CAFILE || env.CADIR) return lazily({ caFile: env.CAFILE, caDir: env.CADIR });
  const system = systemAuthorities(env, files);
  if (system) return lazily(system);
  throw new FatalError(
    `unable to verify servers: the system has no authorities (no ${SYSTEM_BUNDLES[0]} or the like)`,
    EXIT.system,
    "install ca-certificates, or name a file of authorities with -a or CAFILE",
  );
}

function chainFault(
  ders: readonly Uint8Array[],
  trust: Trust,
  depth: number,
  now: number,
): ServerFault | undefined {
  const result = verifyChain(sentChain(ders), trust, { depth, now, purpose: "server" });
  return result.ok ? undefined : { kind: "chain", fault: result.fault, depth };
}

function nameFault(
  [leaf]: readonly Uint8Array[],
  host: string,
  depth: number,
): ServerFault | undefined {
  if (!leaf) {
    return { kind: "chain", fault: { problem: "peer did not return a certificate" }, depth };
  }
  try {
    const certificate = readCertificate(leaf);
    return isFor(certificate, host) ? undefined : { kind: "host", host, certificate };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const fault: ChainFault = { problem: "unreadable certificate", text: error.message };
    return { kind: "chain", fault, depth };
  }
}
