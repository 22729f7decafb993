/** The rules for a chain that authenticates its peer (RFC 5280 6.1). The chain leads to an anchor,
 *  and its signatures are good. The checks have OpenSSL's order and words, so that of two faults
 *  the same one is reported. No I/O, no clock.
 *
 *  Stricter than OpenSSL 3.0, on purpose:
 *  - An authority needs basic constraints (RFC 5280 6.1.4 k), whatever its Netscape type says. Only
 *    an anchor may be of version 1, as in OpenSSL.
 *  - The leaf's key usage, if any, must have digitalSignature. OpenSSL also accepts keyAgreement,
 *    which was for Diffie-Hellman certificates that no TLS library supports any more.
 *  - Name constraints of the anchor apply too, critical or not; `codec/x509/constraints.ts` has the
 *    details. A certificate that is not an authority must not have any.
 *  - A critical policy constraints extension is refused, because policies are not processed.
 *    OpenSSL accepts and ignores it. The other policy extensions only matter together with that
 *    one.
 *  - A certificate in a revocation list is revoked, even if the list is out of date. Of several
 *    good lists each counts. `crl.ts` says which lists are read at all.
 *  - Keys must be RSA (2048 to 8192 bits, on Deno to 4096), P-224, P-256, P-384, P-521 or Ed25519.
 *    Other kinds (secp256k1, Brainpool, Ed448, RSA-PSS keys, DSA) are refused, because one runtime
 *    or both do not support them. */

import type { ChainCertificate } from "./chain_certificate.ts";
import type { HeldCrl, Trust } from "./trust.ts";
import { signatureProblem, tooWeak } from "./signature.ts";
import { hex } from "../codec/bytes.ts";
import { constraintProblem } from "../codec/x509/constraints.ts";

/** Which side of TLS the leaf is used for. */
export type Purpose = "client" | "server";

const EXTENDED_KEY_USAGE: Readonly<Record<Purpose, string>> = {
  client: "1.3.6.1.5.5.7.3.2",
  server: "1.3.6.1.5.5.7.3.1",
};
/** The first bits of Netscape's certificate type are "SSL client" and "SSL server". */
const NETSCAPE: Readonly<Record<Purpose, number>> = { client: 0x80, server: 0x40 };

/** Critical extensions that `codec/x509/certificate.ts` does not read, and that are permitted all
 *  the same. */
const HANDLED = new Set([
  "2.5.29.30", // name constraints, see below
  "2.5.29.31", // where revocation lists are: ours are configured
  "2.5.29.32", // policies, see above
  "2.5.29.33", // policy mappings
  "2.5.29.54", // inhibit any policy
  "2.16.840.1.113730.1.1", // Netscape's certificate type
]);

/** Returns why this chain (the leaf first, the anchor last) is refused at `now` (milliseconds since
 *  1970); undefined if it is accepted. */
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

/** Each authority's constraints apply to every certificate below it except self-issued
 *  intermediates (RFC 5280 6.1.3 b, c). */
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

/** Checks from the anchor down, as OpenSSL does. The anchor's dates count too. */
function timeProblem(path: readonly ChainCertificate[], now: number): string | undefined {
  for (const { certificate: { notBefore, notAfter } } of path.toReversed()) {
    if (now < notBefore.ms) return "certificate is not yet valid";
    if (now > notAfter.ms) return "certificate has expired";
  }
  return undefined;
}

/** Checks every certificate, as OpenSSL's `-crl_check_all` does; the anchor is checked by its own
 *  list. A certificate is refused if its issuer has no list that is valid now. */
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
  // A list that is out of date counts too: a revoked certificate stays revoked.
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

/** Returns why the list is not the issuer's; undefined if it is. Several authorities may have the
 *  same name, so the signature decides. The result is kept with the list, because a list can have
 *  megabytes. */
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
