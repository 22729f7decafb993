/** Which keys a server can have. Reports keys that neither TLS library supports, and keys that many
 *  clients refuse, with a remedy. If only one library refuses a key, its adapter reports that
 *  (`ContextError`). No I/O. */

import { TAG } from "../codec/der.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { KEY, namedCurve, rsaBits } from "../codec/x509/key_facts.ts";
import { readPathFields } from "../codec/x509/path.ts";
import { EXIT, FatalError, quoted } from "../errors.ts";
import { ContextError } from "../runtime/runtime.ts";

const KINDS: Readonly<Record<string, string>> = {
  [KEY.rsa]: "RSA",
  [KEY.pss]: "RSA-PSS",
  [KEY.ed25519]: "Ed25519",
  [KEY.ed448]: "Ed448",
  [KEY.dsa]: "DSA",
};

const SUPPORTED = new Set(["RSA", "P-256", "P-384", "P-521", "Ed25519"]);
const REMEDY = "use RSA with 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519";
/** Clients refuse shorter RSA keys (OpenSSL's security level 2, rustls). */
const MIN_RSA = 2048;

interface KeyFacts {
  /** As in `its key is of the kind P-224`. */
  kind: string;
  /** Size of an RSA key; undefined for other kinds. */
  bits: number | undefined;
}

/** Undefined if the key is in an unknown form. */
function keyFacts(certificate: Certificate): KeyFacts | undefined {
  try {
    const { algorithm, rsa } = readPathFields(certificate).key;
    const { oid, parameters } = algorithm;
    const bits = rsa && rsaBits(rsa);
    if (oid !== KEY.ec) return { kind: KINDS[oid] ?? oid, bits };
    const explicit = parameters?.[0] === TAG.sequence;
    const kind = explicit
      ? "EC with explicit parameters"
      : namedCurve(algorithm)?.name ?? "EC with another curve";
    return { kind, bits };
  } catch {
    return undefined;
  }
}

/** Throws `FatalError` if neither TLS library supports the kind of the certificate's key. */
export function refuseKind(certificate: Certificate, path: string): void {
  const { kind } = keyFacts(certificate) ?? {};
  if (kind === undefined || SUPPORTED.has(kind)) return;
  throw new FatalError(
    `unable to use certificate ${path}: its key is of the kind ${kind}, which the TLS library does not support`,
    EXIT.system,
    REMEDY,
  );
}

/** Something that many clients refuse in a server's certificate. */
export interface KeyProblem {
  readonly text: string;
  readonly remedy: string;
  /** True if nearly all clients refuse it. */
  readonly severe: boolean;
}

/** Returns what many clients refuse in a certificate whose key the library supports. */
export function keyProblems(certificate: Certificate): KeyProblem[] {
  const problems: KeyProblem[] = [];
  const { bits } = keyFacts(certificate) ?? {};
  if (bits !== undefined && bits < MIN_RSA) {
    problems.push({
      text: `RSA key of ${bits} bits, which clients refuse`,
      remedy: "make a key of 2048 bits, or an EC key, and have the certificate issued again",
      severe: true,
    });
  }
  // With ECDHE and in TLS 1.3 the server signs (RFC 8446 4.4.2.2, RFC 5280 4.2.1.3).
  if (certificate.keyUsage && !certificate.keyUsage.includes("digitalSignature")) {
    problems.push({
      text: "its keyUsage lacks digitalSignature, and many clients refuse that",
      remedy: "have it issued with keyUsage digitalSignature, or without keyUsage",
      severe: false,
    });
  }
  return problems;
}

/** Calls `make`. If the library refuses, throws a `FatalError` that names the setting or the file,
 *  and the remedy. */
export function refusing<T>(
  ciphers: string | undefined,
  first: { readonly path?: string; readonly leaf?: Certificate } | undefined,
  make: () => T,
): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ContextError)) throw error;
    if (error.setting === "ciphers") {
      throw new FatalError(
        `unable to use CIPHERS ${quoted(ciphers ?? "")}: ${error.message}`,
        EXIT.system,
        "try ECDHE+AESGCM:ECDHE+CHACHA20, or unset CIPHERS",
      );
    }
    const [problem] = first?.leaf ? keyProblems(first.leaf) : [];
    throw new FatalError(
      `unable to use certificate ${first?.path ?? "and key"}: ${error.message}`,
      EXIT.system,
      problem?.remedy ?? REMEDY,
    );
  }
}
