/** The lines that `s_server` prints about a client's certificate: OpenSSL's numbers of what is wrong
 *  (`X509_V_ERR_…` of x509_vfy.h), which scripts look for. Pure: no I/O. */

import { printable } from "../codec/printable.ts";
import type { ChainProblem } from "../tls/chain_fault.ts";
import type { ClientVerify } from "../tls/variables.ts";

const NUMBERS: Readonly<Partial<Record<ChainProblem, number>>> = {
  "unable to get issuer certificate": 2,
  "unable to get certificate CRL": 3,
  "certificate signature failure": 7,
  "CRL signature failure": 8,
  "certificate is not yet valid": 9,
  "certificate has expired": 10,
  "CRL is not yet valid": 11,
  "CRL has expired": 12,
  "self-signed certificate": 18,
  "self-signed certificate in certificate chain": 19,
  "unable to get local issuer certificate": 20,
  "certificate chain too long": 22,
  "certificate revoked": 23,
  "path length constraint exceeded": 25,
  "unsuitable certificate purpose": 26,
  "unhandled critical extension": 34,
  "key usage does not include CRL signing": 35,
  "invalid non-CA certificate (has CA markings)": 37,
  "permitted subtree violation": 47,
  "excluded subtree violation": 48,
  "unsupported name constraint type": 51,
  "unsupported or invalid name constraint syntax": 52,
  "unsupported or invalid name syntax": 53,
  "hostname mismatch": 62,
  "EE certificate key too weak": 66,
  "CA certificate key too weak": 67,
  "CA signature digest algorithm too weak": 68,
  "invalid CA certificate": 79,
};

const FAILED = "FAILED:";
const UNTRUSTED = "no authority is trusted";

/** The lines below that with the certificate's subject. A problem that OpenSSL does not know has no
 *  number. */
export function verdictOf(verdict: ClientVerify | string): string[] {
  if (verdict === "GENEROUS") return [`verify error:${UNTRUSTED}`];
  if (!verdict.startsWith(FAILED)) return ["verify return:1"];
  const problem = verdict.slice(FAILED.length);
  const number = NUMBERS[problem as ChainProblem];
  const error = `${number === undefined ? "" : `num=${number}:`}${printable(problem)}`;
  return [`verify error:${error}`, "verify return:1"]; // the connection goes on
}

/** The line of a summary. */
export function verificationOf(verdict: ClientVerify | string): string {
  if (verdict === "GENEROUS") return `Verification error: ${UNTRUSTED}`;
  if (!verdict.startsWith(FAILED)) return "Verification: OK";
  return `Verification error: ${printable(verdict.slice(FAILED.length))}`;
}
