/** May this chain authenticate a client? The rules for a chain that leads to an anchor and whose
 *  signatures are good (RFC 5280 6.1), in OpenSSL's order, so that of two faults the same one is
 *  named, and with its words. No I/O, no clock.
 *
 *  Stricter than OpenSSL 3.0, on purpose:
 *  - An authority needs basic constraints (RFC 5280 6.1.4 k), whatever its Netscape type says. Only
 *    an anchor may be of version 1, as in OpenSSL.
 *  - A client's key usage, if any, must have digitalSignature; keyAgreement, which OpenSSL takes
 *    too, was for Diffie-Hellman certificates that no TLS library speaks any more.
 *  - Name constraints count in the anchor too, critical or not; `codec/x509/constraints.ts` has the details.
 *    A certificate that is no authority must not have any.
 *  - A critical policy constraints extension is refused, since policies are not processed. OpenSSL
 *    accepts and ignores it. The other policy extensions only matter together with that one.
 *  - What a revocation list names is revoked, also when the list is out of date; and of several
 *    good lists each counts. Which lists are read at all is told in `crl.ts`.
 *  - Keys of other kinds than RSA (2048 to 8192 bits, on Deno to 4096), P-224, P-256, P-384, P-521
 *    and Ed25519 are refused (secp256k1, Brainpool, Ed448, RSA-PSS keys, DSA): one runtime or both
 *    lack them. */

import type { ChainCertificate } from "./chain_certificate.ts";
import type { HeldCrl, Trust } from "./trust.ts";
import { signatureProblem, tooWeak } from "./signature.ts";
import { hex } from "../codec/bytes.ts";
import { constraintProblem } from "../codec/x509/constraints.ts";

/** What the leaf is for. */
export type Purpose = "client" | "server";

const EXTENDED_KEY_USAGE: Readonly<Record<Purpose, string>> = {
  client: "1.3.6.1.5.5.7.3.2",
  server: "1.3.6.1.5.5.7.3.1",
};
/** The first bits of Netscape's certificate type are "SSL client" and "SSL server". */
const NETSCAPE: Readonly<Record<Purpose, number>> = { client: 0x80, server: 0x40 };

/** Critical extensions that `codec/x509/certificate.ts` does not read and that are dealt with all the same. */
const HANDLED = new Set([
  "2.5.29.30", // name constraints, see below
  "2.5.29.31", // where revocation lists are: we have ours
  "2.5.29.32", // policies, see above
  "2.5.29.33", // policy mappings
  "2.5.29.54", // inhibit any policy
  "2.16.840.1.113730.1.1", // Netscape's certificate type
]);

/** Why this chain (the leaf first, the anchor last) is not accepted at `now` (milliseconds since
 *  1970); undefined if it is. */
export function pathProblem(
  path: readonly ChainCertificate[],
  trust: Trust,
  now: number,
  purpose: Purpose,
): string | undefined {
  const [leaf] = path;
  if (!leaf) return "unable to get local issuer certificate";
  if (typeof leaf.key === "string") return leaf.key;
  if (tooWeak(leaf.key)) return "EE certificate key too weak";
  return extensionProblem(path, purpose) ??
    revocationProblem(path, trust, now) ??
    timeProblem(path, now) ??
    nameProblem(path);
}

function extensionProblem(path: readonly ChainCertificate[], purpose: Purpose): string | undefined {
  let below = 0; // intermediates passed, without the self-issued ones (RFC 5280 6.1.4 l)
  for (const [i, { certificate, fields, trusted }] of path.entries()) {
    const { basicConstraints, keyUsage, extendedKeyUsage } = certificate;
    if (certificate.unknownCritical.some((oid) => !HANDLED.has(oid))) {
      return "unhandled critical extension";
    }
    const usage = extendedKeyUsage?.includes(EXTENDED_KEY_USAGE[purpose]) ?? true;
    if (i === 0) {
      const signs = keyUsage?.includes("digitalSignature") ?? true;
      const typed = ((fields.netscapeType ?? 0xff) & NETSCAPE[purpose]) !== 0;
      if (!usage || !signs || !typed) return "unsuitable certificate purpose";
      // RFC 5280 4.2.1.10. A self-signed leaf may be an authority as well.
      if (fields.nameConstraints && !basicConstraints?.ca) {
        return "invalid non-CA certificate (has CA markings)";
      }
      continue;
    }
    const old = trusted && i === path.length - 1 && certificate.version === 1;
    const signs = keyUsage?.includes("keyCertSign") ?? true;
    if (!signs || !(basicConstraints?.ca ?? old)) return "invalid CA certificate";
    if (!usage) return "unsuitable certificate purpose";
    if (below > (basicConstraints?.pathLength ?? Infinity)) {
      return "path length constraint exceeded";
    }
    if (!certificate.selfIssued) below++;
  }
  return undefined;
}

/** Each authority's constraints bind every certificate below it but self-issued intermediates (RFC
 *  5280 6.1.3 b, c). */
function nameProblem(path: readonly ChainCertificate[]): string | undefined {
  for (const [i, { certificate }] of path.entries()) {
    if (i > 0 && certificate.selfIssued) continue;
    for (const { fields } of path.slice(i + 1)) {
      const problem = fields.nameConstraints &&
        constraintProblem(fields.nameConstraints, certificate, i === 0);
      if (problem) return problem;
    }
  }
  return undefined;
}

/** From the anchor down, as OpenSSL. The anchor's dates count too. */
function timeProblem(path: readonly ChainCertificate[], now: number): string | undefined {
  for (const { certificate: { notBefore, notAfter } } of path.toReversed()) {
    if (now < notBefore.ms) return "certificate is not yet valid";
    if (now > notAfter.ms) return "certificate has expired";
  }
  return undefined;
}

/** OpenSSL's `-crl_check_all`: every certificate, the anchor by its own list. Without a list of the
 *  issuer that is good now, a certificate is refused. */
function revocationProblem(
  path: readonly ChainCertificate[],
  trust: Trust,
  now: number,
): string | undefined {
  if (!trust.checksRevocation) return undefined;
  for (const [i, link] of path.entries()) {
    const problem = revoked(link, path[i + 1] ?? link, trust, now);
    if (problem) return problem;
  }
  return undefined;
}

function revoked(
  link: ChainCertificate,
  issuer: ChainCertificate,
  trust: Trust,
  now: number,
): string | undefined {
  const lists = trust.crlsOf(link.issuer);
  if (lists.length === 0) return "unable to get certificate CRL";
  if (issuer.certificate.keyUsage && !issuer.certificate.keyUsage.includes("cRLSign")) {
    return "key usage does not include CRL signing";
  }
  const signed = lists.filter((held) => listProblem(held, issuer) === undefined);
  const [first] = lists;
  if (signed.length === 0) return first && listProblem(first, issuer);
  const serial = hex(link.certificate.serial);
  // Also in a list that is out of date: what is revoked stays so.
  if (signed.some(({ crl }) => crl.revoked.has(serial))) return "certificate revoked";
  const problems = signed.map(({ crl: { thisUpdate, nextUpdate } }) =>
    now < thisUpdate.ms
      ? "CRL is not yet valid"
      : now > nextUpdate.ms
      ? "CRL has expired"
      : undefined
  );
  return problems.includes(undefined) ? undefined : problems[0];
}

/** Authorities of one name may have several keys; the signature tells whose list it is. Kept with
 *  the list, for it may be megabytes. */
function listProblem(
  { crl, signers }: HeldCrl,
  { key, fields }: ChainCertificate,
): string | undefined {
  if (typeof key === "string") return key;
  const signer = hex(fields.key.der);
  if (signers.has(signer)) return undefined;
  const problem = signatureProblem(crl.signed, key, "CRL signature failure");
  if (!problem) signers.add(signer);
  return problem;
}
