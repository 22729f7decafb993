/** Verifies the certificate chain of a peer, a client or a server: RFC 5280 chapter 6, as far as
 *  TLS needs it. The code is our own because one of the runtimes leaves `authorized` false for good
 *  certificates and accepts revoked ones. Verdicts and reasons are OpenSSL's (`openssl verify
 *  -purpose sslclient` or `sslserver`, `-auth_level 2 -crl_check_all`). Pure except for the caches
 *  in `Trust`: the caller passes the time.
 *
 *  This code does NOT check that the peer holds the private key. The TLS library does that in the
 *  handshake: always for a server, and for a client (CertificateVerify) when a certificate is
 *  requested. Without that check, every verdict is worthless.
 *
 *  A chain is searched from the leaf upwards. Our own certificates are tried first, then those that
 *  the peer sent, in any order. Cross-signed and same-named authorities give several paths, which
 *  are tried one after another until one is accepted. Differences from OpenSSL 3.0 in this search
 *  (`path_rules.ts` lists those of the rules, `signature.ts` those of the algorithms):
 *  - Names are compared byte by byte. OpenSSL ignores case, spaces and string type.
 *  - If several authorities have the same name, the signature decides, and every path is tried.
 *    OpenSSL tries only one. So some chains that it refuses are accepted, all of them good by RFC
 *    5280.
 *  - In an authority key identifier, only the key id is compared, not issuer and serial.
 *  - Certificates must be strict DER, as `codec/x509/certificate.ts` reads them: no BER, no serial
 *    number above 128 bytes, no extension twice, no certificate above 64 KiB.
 *  - Every certificate that the peer sends must be readable, even an unused one. OpenSSL's TLS
 *    refuses unreadable ones too, with an alert.
 *  - At most MAX_SENT certificates and MAX_SIGNATURES signatures are checked. Of these signatures,
 *    at most VERIFYDEPTH plus MAX_FOREIGN_SIGNATURES are by keys that the peer sent. */

import { DecodeError } from "../codec/bytes.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { matchesHost } from "../codec/x509/match.ts";
import type { SentCertificate, SentChain } from "./sent_chain.ts";
import { ChainCertificate } from "./chain_certificate.ts";
import type { ChainFault, SignatureProblem } from "./chain_fault.ts";
import { pathFault, type Purpose, type Revocation } from "./path_rules.ts";
import { signatureProblem, tooWeak } from "./signature.ts";
import type { Trust } from "./trust.ts";

export interface VerifyOptions {
  /** VERIFYDEPTH, or -V: maximum number of intermediates between leaf and anchor; OpenSSL's
   *  SSL_CTX_set_verify_depth. ucspi-ssl's default is 1. */
  readonly depth: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly purpose: Purpose;
  /** Which certificates must be in no revocation list; default: `listed`. `listed`: all, if there are
   *  lists. */
  readonly revocation?: Revocation | undefined;
  /** -z: the leaf must name this host. */
  readonly hostName?: string | undefined;
}

export type ChainResult =
  /** The leaf first, the anchor last. */
  | { readonly ok: true; readonly chain: Certificate[] }
  | { readonly ok: false; readonly fault: ChainFault };

/** Maximum certificates of a peer. Real chains have 2 to 4, and each certificate costs a search
 *  among the others. */
export const MAX_SENT = 32;
/** BoringSSL's limit for a whole chain, in bytes; Deno's library has none. */
export const MAX_SENT_BYTES = 100 << 10;
/** Maximum signatures verified for one chain. */
export const MAX_SIGNATURES = 32;
/** Maximum steps from a certificate to an issuer, for one chain. Without this limit, certificates
 *  of one name that all sign each other make the search endless (for example CVE-2018-16875). */
const MAX_ISSUERS_TRIED = 1024;

/** Maximum signatures verified with keys from the peer's certificates, beyond those of one chain.
 *  The peer chooses such a key, and P-521 takes 4 ms a signature. Real chains need one or two,
 *  for cross-signed authorities. */
export const MAX_FOREIGN_SIGNATURES = 8;

/** Faults, ordered by how close the chain is to a good one, the closest last. If there are several
 *  faults, the last in this order is reported. */
const RANKS = [
  "none",
  "incomplete",
  "selfSigned",
  "tooLong",
  "signature",
  "rules",
  "steps",
] as const;
type Rank = typeof RANKS[number];

const TOO_MANY = "too many possible certificate chains";

/** Verifies the chain that the peer sent. Never throws because of its content. */
export function verifyChain(
  chain: SentChain,
  trust: Trust,
  options: VerifyOptions,
): ChainResult {
  const refuse = (fault: ChainFault): ChainResult => ({ ok: false, fault });
  if (chain.length === 0) return refuse({ problem: "peer did not return a certificate" });
  const bytes = chain.reduce((sum, { der }) => sum + der.length, 0);
  if (chain.length > MAX_SENT || bytes > MAX_SENT_BYTES) {
    return refuse({ problem: "certificate chain too long" });
  }
  let sent: ChainCertificate[];
  try {
    sent = chain.map((one) => ownCopy(one, trust));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return refuse({ problem: "unreadable certificate", text: error.message });
  }
  const [leaf] = sent as [ChainCertificate];
  const search = new Search(sent, trust, options);
  const path = search.complete([leaf]);
  if (!path) return refuse(search.fault);
  const { certificate } = leaf;
  if (options.hostName !== undefined && !matchesHost(certificate, options.hostName)) {
    return refuse({ problem: "hostname mismatch", certificate });
  }
  trust.remember(path);
  return { ok: true, chain: path.map(({ certificate }) => certificate) };
}

/** Returns our own copy of a certificate that is in our files: it is trusted, and its key and id
 *  are cached. */
function ownCopy(one: SentCertificate, trust: Trust): ChainCertificate {
  const link = new ChainCertificate(one.read(), false);
  return trust.find(one.der, link.subject) ?? link;
}

class Search {
  fault: ChainFault = { problem: "unable to get local issuer certificate" };
  #rank: Rank = "none";
  #issuersTried = 0;
  #signatures = 0;
  /** Signatures verified with keys that the peer sent. */
  #foreignSignatures = 0;
  /** Results of verified signatures, by certificate and issuer: the search may reach the same pair
   *  again. */
  readonly #found = new Map<
    ChainCertificate,
    Map<ChainCertificate, SignatureProblem | undefined>
  >();

  constructor(
    readonly sent: readonly ChainCertificate[],
    readonly trust: Trust,
    readonly options: VerifyOptions,
  ) {}

  /** Completes the chain that begins with `path`. If no path is good, returns undefined and sets
   *  `fault`. */
  complete(path: readonly ChainCertificate[]): readonly ChainCertificate[] | undefined {
    const { now, purpose, revocation } = this.options;
    const last = path.at(-1) as ChainCertificate;
    if (last.trusted && last.selfSigned) {
      const fault = pathFault(path, this.trust, now, purpose, revocation);
      if (!fault) return path;
      this.#note("rules", fault);
      return undefined;
    }
    if (!last.selfSigned) return this.#extend(path, last);
    const { certificate } = last;
    this.#note("selfSigned", { problem: "self-signed certificate", certificate });
    return undefined;
  }

  #extend(
    path: readonly ChainCertificate[],
    last: ChainCertificate,
  ): readonly ChainCertificate[] | undefined {
    let any = false;
    const { certificate } = last;
    const tried = new Set<ChainCertificate>(path);
    for (const issuer of [...this.trust.named(last.issuer), ...this.sent]) {
      if (tried.has(issuer) || !mayHaveIssued(issuer, last)) continue;
      tried.add(issuer);
      any = true;
      if (!issuer.trusted || !issuer.selfSigned) {
        // The path cannot go on from here, so the signature need not be verified. Leaf and anchor
        // do not count for the depth.
        if (path.length > this.options.depth) {
          this.#note("tooLong", { problem: "certificate chain too long", certificate });
          continue;
        }
        if (issuer.selfSigned) {
          this.#note("selfSigned", {
            problem: "self-signed certificate in certificate chain",
            certificate: issuer.certificate,
          });
          continue;
        }
      }
      const problem = this.#signatureProblem(last, issuer);
      if (problem !== undefined) {
        this.#note("signature", { problem, certificate });
        continue;
      }
      const found = this.complete([...path, issuer]);
      if (found) return found;
    }
    if (!any) {
      const which = last.trusted && path.length > 1 ? "issuer" : "local issuer";
      this.#note("incomplete", { problem: `unable to get ${which} certificate`, certificate });
    }
    return undefined;
  }

  #signatureProblem(
    link: ChainCertificate,
    issuer: ChainCertificate,
  ): SignatureProblem | undefined {
    if (++this.#issuersTried > MAX_ISSUERS_TRIED) return this.#tooMany();
    const known = this.#found.get(link) ??
      new Map<ChainCertificate, SignatureProblem | undefined>();
    if (known.has(issuer)) return known.get(issuer);
    const { key } = issuer;
    if (typeof key === "string") return key;
    if (tooWeak(key)) return "CA certificate key too weak";
    if (this.trust.knows(link, issuer)) return undefined;
    if (++this.#signatures > MAX_SIGNATURES) return this.#tooMany();
    if (
      !issuer.trusted && ++this.#foreignSignatures > MAX_FOREIGN_SIGNATURES + this.options.depth
    ) {
      return this.#tooMany();
    }
    const problem = signatureProblem(link.fields.signed, key);
    this.#found.set(link, known.set(issuer, problem));
    return problem;
  }

  #tooMany(): SignatureProblem {
    this.#note("steps", { problem: TOO_MANY });
    return TOO_MANY;
  }

  /** Keeps the first fault of the highest rank. */
  #note(rank: Rank, fault: ChainFault): void {
    if (RANKS.indexOf(rank) <= RANKS.indexOf(this.#rank)) return;
    this.#rank = rank;
    this.fault = fault;
  }
}

/** True if the names, and the key identifiers if present, match. Whether the issuer is an authority
 *  is checked later. */
function mayHaveIssued(issuer: ChainCertificate, link: ChainCertificate): boolean {
  return issuer.subject === link.issuer && link.namesKeyOf(issuer);
}
