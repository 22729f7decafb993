/** The rules for a chain that authenticates its peer (RFC 5280 6.1). The chain leads to an anchor,
 *  and its signatures are good. The checks have OpenSSL's order and words, so that a chain with two
 *  faults is reported as by OpenSSL. No I/O, no clock.
 *
 *  Stricter than OpenSSL 3.0, on purpose:
 *  - An authority needs basic constraints (RFC 5280 6.1.4 k), whatever its Netscape type says. Only
 *    an anchor may be of version 1, as in OpenSSL.
 *  - The leaf's key usage, if any, must have digitalSignature; that of a server may have
 *    keyEncipherment instead. OpenSSL also accepts keyAgreement, which was for Diffie-Hellman
 *    certificates that no TLS library supports any more.
 *  - Name constraints of the anchor apply too, critical or not; `codec/x509/constraints.ts` has the
 *    details. A certificate that is not an authority must not have any.
 *  - A critical policy constraints extension is refused, because policies are not processed.
 *    OpenSSL accepts and ignores it. The other policy extensions only matter together with that
 *    one.
 *  - A certificate in a revocation list is revoked, even if the list is out of date. If there are
 *    several good lists, each counts. `crl.ts` says which lists are read at all.
 *  - Keys must be RSA (2048 to 8192 bits, on Deno to 4096), P-224, P-256, P-384, P-521 or Ed25519.
 *    Other kinds (secp256k1, Brainpool, Ed448, RSA-PSS keys, DSA) are refused, because one runtime
 *    or both do not support them. */

import type { ChainCertificate } from "./chain_certificate.ts";
import type {
  ChainFault,
  ChainProblem,
  RevocationProblem,
  SignatureProblem,
} from "./chain_fault.ts";
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
/** The leaf needs one of these key usages. In TLS 1.2 without ephemeral keys, the client encrypts
 *  with the server's key. */
const KEY_USAGE: Readonly<Record<Purpose, readonly string[]>> = {
  client: ["digitalSignature"],
  server: ["digitalSignature", "keyEncipherment"],
};
/** The first bits of Netscape's certificate type are "SSL client" and "SSL server". */
const NETSCAPE: Readonly<Record<Purpose, number>> = { client: 0x80, server: 0x40 };

/** Critical extensions that `codec/x509/certificate.ts` does not read, and that are permitted all
 *  the same. */
const HANDLED = new Set([
  "2.5.29.30", // name constraints, see below
  "2.5.29.31", // places of revocation lists: only the configured lists are used
  "2.5.29.32", // policies, see above
  "2.5.29.33", // policy mappings
  "2.5.29.54", // inhibit any policy
  "2.16.840.1.113730.1.1", // Netscape's certificate type
]);

/** Which certificates are checked for revocation; see `VerifyOptions`. */
export type Revocation = "listed" | "leaf" | "all";

/** Returns why this chain (the leaf first, the anchor last) is refused at `now` (milliseconds since
 *  1970); undefined if it is accepted. */
export function pathFault(
  path: readonly ChainCertificate[],
  trust: Trust,
  now: number,
  purpose: Purpose,
  revocation: Revocation = "listed",
): ChainFault | undefined {
  return leafFault(path[0]) ??
    extensionFault(path, purpose) ??
    revocationFault(path, trust, now, revocation) ??
    timeFault(path, now) ??
    nameFault(path);
}

function faultOf(
  problem: ChainProblem | undefined,
  { certificate }: ChainCertificate,
): ChainFault | undefined {
  return problem && { problem, certificate };
}

function leafFault(leaf: ChainCertificate | undefined): ChainFault | undefined {
  if (!leaf) return { problem: "unable to get local issuer certificate" };
  const { key } = leaf;
  if (typeof key === "string") return faultOf(key, leaf);
  return tooWeak(key) ? faultOf("EE certificate key too weak", leaf) : undefined;
}

function extensionFault(
  path: readonly ChainCertificate[],
  purpose: Purpose,
): ChainFault | undefined {
  let below = 0; // intermediates passed, without the self-issued ones (RFC 5280 6.1.4 l)
  for (const [i, link] of path.entries()) {
    const { certificate, fields, trusted } = link;
    const { basicConstraints, keyUsage, extendedKeyUsage } = certificate;
    if (certificate.unknownCritical.some((oid) => !HANDLED.has(oid))) {
      return faultOf("unhandled critical extension", link);
    }
    const usage = extendedKeyUsage?.includes(EXTENDED_KEY_USAGE[purpose]) ?? true;
    if (i === 0) {
      const signs = !keyUsage || KEY_USAGE[purpose].some((usage) => keyUsage.includes(usage));
      const typed = ((fields.netscapeType ?? 0xff) & NETSCAPE[purpose]) !== 0;
      if (!usage || !signs || !typed) return faultOf("unsuitable certificate purpose", link);
      // RFC 5280 4.2.1.10. A self-signed leaf may be an authority as well.
      if (fields.nameConstraints && !basicConstraints?.ca) {
        return faultOf("invalid non-CA certificate (has CA markings)", link);
      }
      continue;
    }
    const old = trusted && i === path.length - 1 && certificate.version === 1;
    const signs = keyUsage?.includes("keyCertSign") ?? true;
    if (!signs || !(basicConstraints?.ca ?? old)) return faultOf("invalid CA certificate", link);
    if (!usage) return faultOf("unsuitable certificate purpose", link);
    if (below > (basicConstraints?.pathLength ?? Infinity)) {
      return faultOf("path length constraint exceeded", link);
    }
    if (!certificate.selfIssued) below++;
  }
  return undefined;
}

/** Each authority's constraints apply to every certificate below it except self-issued
 *  intermediates (RFC 5280 6.1.3 b, c). */
function nameFault(path: readonly ChainCertificate[]): ChainFault | undefined {
  for (const [i, link] of path.entries()) {
    const { certificate } = link;
    if (i > 0 && certificate.selfIssued) continue;
    for (const { fields } of path.slice(i + 1)) {
      const problem = fields.nameConstraints &&
        constraintProblem(fields.nameConstraints, certificate, i === 0);
      if (problem) return faultOf(problem, link);
    }
  }
  return undefined;
}

/** Checks from the anchor down, as OpenSSL does. The anchor's dates count too. */
function timeFault(path: readonly ChainCertificate[], now: number): ChainFault | undefined {
  for (const link of path.toReversed()) {
    const { notBefore, notAfter } = link.certificate;
    if (now < notBefore.ms) return faultOf("certificate is not yet valid", link);
    if (now > notAfter.ms) return faultOf("certificate has expired", link);
  }
  return undefined;
}

/** Checks every certificate, as OpenSSL's `-crl_check_all` does; the anchor is checked by its own
 *  list. A certificate is refused if its issuer has no list that is valid now. */
function revocationFault(
  path: readonly ChainCertificate[],
  trust: Trust,
  now: number,
  which: Revocation,
): ChainFault | undefined {
  if (which === "listed" && !trust.checksRevocation) return undefined;
  for (const [i, link] of (which === "leaf" ? path.slice(0, 1) : path).entries()) {
    const problem = revoked(link, path[i + 1] ?? link, trust, now);
    if (problem) return faultOf(problem, link);
  }
  return undefined;
}

function revoked(
  link: ChainCertificate,
  issuer: ChainCertificate,
  trust: Trust,
  now: number,
): RevocationProblem | SignatureProblem | undefined {
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
  const problems = signed.map((
    { crl: { thisUpdate, nextUpdate } },
  ): RevocationProblem | undefined =>
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
): SignatureProblem | undefined {
  if (typeof key === "string") return key;
  const signer = hex(fields.key.der);
  if (signers.has(signer)) return undefined;
  const problem = signatureProblem(crl.signed, key, "CRL signature failure");
  if (!problem) signers.add(signer);
  return problem;
}
