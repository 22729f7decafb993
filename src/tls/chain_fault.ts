/** Why a certificate chain is refused, as data. No I/O. Each problem is an identifier. It has
 *  OpenSSL's words (`X509_verify_cert_error_string`) if OpenSSL knows the problem, because programs
 *  get it in SSL_CLIENT_VERIFY. No code parses the words. */

import type { Certificate } from "../codec/x509/certificate.ts";
import type { ConstraintProblem } from "../codec/x509/constraints.ts";

/** A problem of a signature, or of the key that made it. */
export type SignatureProblem =
  | "certificate signature failure"
  | "CRL signature failure"
  | "CA certificate key too weak"
  | "CA signature digest algorithm too weak"
  | PublicKeyProblem
  | "unsupported signature algorithm"
  | "too many possible certificate chains";

/** A public key of a kind, size or form that is not supported. */
export type PublicKeyProblem = "unsupported public key algorithm";

/** A problem with the revocation lists. */
export type RevocationProblem =
  | "certificate revoked"
  | "unable to get certificate CRL"
  | "key usage does not include CRL signing"
  | "CRL is not yet valid"
  | "CRL has expired";

export type ChainProblem =
  | "peer did not return a certificate"
  | "unreadable certificate"
  | "certificate chain too long"
  | "unable to get issuer certificate"
  | "unable to get local issuer certificate"
  | "self-signed certificate"
  | "self-signed certificate in certificate chain"
  | "EE certificate key too weak"
  | "unhandled critical extension"
  | "unsuitable certificate purpose"
  | "invalid CA certificate"
  | "invalid non-CA certificate (has CA markings)"
  | "path length constraint exceeded"
  | "certificate is not yet valid"
  | "certificate has expired"
  | "hostname mismatch"
  | SignatureProblem
  | RevocationProblem
  | ConstraintProblem;

export interface ChainFault {
  readonly problem: ChainProblem;
  /** The certificate that has the problem. Absent: the whole chain has it. Its content is
   *  untrusted. */
  readonly certificate?: Certificate | undefined;
  /** What the decoder says about an unreadable certificate. Printable, without text of the peer. */
  readonly text?: string;
}

/** Returns the problem on one line, without any text of the peer. */
export function faultText({ problem, text }: ChainFault): string {
  return text === undefined ? problem : `${problem}: ${text}`;
}
