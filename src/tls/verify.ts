/** Is this client who its certificate says? RFC 5280 chapter 6, as far as TLS client authentication
 *  needs it, in code of our own: of the runtimes one leaves `authorized` false for good certificates
 *  and accepts revoked ones. Verdicts and reasons are OpenSSL's (`openssl verify -purpose sslclient
 *  -auth_level 2 -crl_check_all`). Pure but for the caches in `Trust`: the time comes in.
 *
 *  That the client holds the private key is NOT checked here: the TLS library does that in the
 *  handshake (CertificateVerify), when a certificate is requested. Nothing here means anything
 *  without it.
 *
 *  A chain is searched from the leaf upwards, over our own certificates first and then those that
 *  the client sent, in any order; cross-signed and same-named authorities give several ways, which
 *  are tried one after another until one is accepted. Differences to OpenSSL 3.0 in this search
 *  (`path_rules.ts` lists those of the rules, `signature.ts` the algorithms):
 *  - Names are compared by their bytes, not without regard to case, spaces and string type.
 *  - Among authorities of one name the signature decides, and every way is tried; OpenSSL commits
 *    itself to one. So some chains that it refuses are accepted, all of them good by RFC 5280.
 *  - Of an authority key identifier only the key id is compared, not issuer and serial.
 *  - Certificates must be DER to the letter, as `codec/x509/certificate.ts` reads them: no BER, no serial number above
 *    128 bytes, no extension twice, no certificate above 64 KiB.
 *  - Everything that the client sends must be readable, also what is of no use; OpenSSL's TLS
 *    refuses that too, with an alert.
 *  - At most MAX_SENT certificates and MAX_STEPS signatures are looked at, of those by keys of the
 *    client's own choice only as many as a chain may have intermediates, and MAX_WASTED more. */

import { DecodeError } from "../codec/bytes.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { matchesHost } from "../codec/x509/match.ts";
import type { ClientChain, SentCertificate } from "./client_chain.ts";
import { ChainCertificate } from "./chain_certificate.ts";
import { pathProblem, type Purpose } from "./path_rules.ts";
import { signatureProblem, tooWeak } from "./signature.ts";
import type { Trust } from "./trust.ts";

export interface VerifyOptions {
  /** VERIFYDEPTH: how many intermediates may stand between leaf and anchor; OpenSSL's
   *  SSL_CTX_set_verify_depth. ucspi-ssl's default is 1. */
  readonly depth: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly purpose: Purpose;
  /** -z: the leaf must name this host. */
  readonly hostName?: string | undefined;
}

export type ChainResult =
  /** The leaf first, the anchor last. */
  | { readonly ok: true; readonly chain: Certificate[] }
  /** In OpenSSL's words where it has some; one line, nothing of the client's in it. */
  | { readonly ok: false; readonly reason: string };

/** More is refused: real chains have 2 to 4, and each costs a search among the others. */
export const MAX_SENT = 32;
/** BoringSSL's limit for a whole chain, in bytes; Deno's library has none of its own. */
export const MAX_SENT_BYTES = 100 << 10;
/** Signatures verified for one client. */
export const MAX_STEPS = 32;
/** Steps from a certificate to an issuer, for one client. Certificates of one name, all signing each
 *  other, would otherwise make a search without end (CVE-2018-16875 is such a case). */
const MAX_WAY = 1024;

/** Signatures verified with keys from certificates that the client sent, beyond those of one chain.
 *  The client chooses such a key: P-521 takes 4 ms a signature. Real chains have one or two, of
 *  cross-signed authorities. */
export const MAX_WASTED = 8;

/** Which of several faults is told: the one that is nearest to a good chain. */
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

/** Verifies what a client sent. Never throws for what is in it. */
export function verifyChain(
  sentByClient: ClientChain,
  trust: Trust,
  options: VerifyOptions,
): ChainResult {
  const refuse = (reason: string): ChainResult => ({ ok: false, reason });
  if (sentByClient.length === 0) return refuse("peer did not return a certificate");
  const bytes = sentByClient.reduce((sum, { der }) => sum + der.length, 0);
  if (sentByClient.length > MAX_SENT || bytes > MAX_SENT_BYTES) {
    return refuse("certificate chain too long");
  }
  let sent: ChainCertificate[];
  try {
    sent = sentByClient.map((one) => linkOf(one, trust));
  } catch (error) {
    if (error instanceof DecodeError) return refuse(`unreadable certificate: ${error.message}`);
    throw error;
  }
  const [leaf] = sent as [ChainCertificate];
  const search = new Search(sent, trust, options);
  const path = search.from([leaf]);
  if (!path) return refuse(search.reason);
  if (options.hostName !== undefined && !matchesHost(leaf.certificate, options.hostName)) {
    return refuse("hostname mismatch");
  }
  trust.remember(path);
  return { ok: true, chain: path.map(({ certificate }) => certificate) };
}

/** One that is in our files is taken from there, with all that is known of it. */
function linkOf(one: SentCertificate, trust: Trust): ChainCertificate {
  const link = new ChainCertificate(one.read(), false);
  return trust.find(one.der, link.subject) ?? link;
}

class Search {
  reason = "unable to get local issuer certificate";
  #rank: Rank = "none";
  #way = 0;
  #steps = 0;
  /** Signatures by keys of the client's. */
  #foreign = 0;
  /** What was found of a certificate's signature by an issuer: the search may pass there again. */
  readonly #found = new Map<ChainCertificate, Map<ChainCertificate, string | undefined>>();

  constructor(
    readonly sent: readonly ChainCertificate[],
    readonly trust: Trust,
    readonly options: VerifyOptions,
  ) {}

  /** Completes the chain that begins with `path`; undefined, with `reason`, if no way is good. */
  from(path: readonly ChainCertificate[]): readonly ChainCertificate[] | undefined {
    const { now, purpose } = this.options;
    const last = path.at(-1) as ChainCertificate;
    if (last.trusted && last.selfSigned) {
      const problem = pathProblem(path, this.trust, now, purpose);
      if (problem === undefined) return path;
      this.#note("rules", problem);
      return undefined;
    }
    if (!last.selfSigned) return this.#above(path, last);
    this.#note("selfSigned", "self-signed certificate");
    return undefined;
  }

  #above(
    path: readonly ChainCertificate[],
    last: ChainCertificate,
  ): readonly ChainCertificate[] | undefined {
    let any = false;
    const tried = new Set<ChainCertificate>(path);
    for (const issuer of [...this.trust.named(last.issuer), ...this.sent]) {
      if (tried.has(issuer) || !mayHaveIssued(issuer, last)) continue;
      tried.add(issuer);
      any = true;
      if (!issuer.trusted || !issuer.selfSigned) {
        // No way leads on from here: no signature needs to be looked at. Leaf and anchor do not
        // count for the depth.
        if (path.length > this.options.depth) {
          this.#note("tooLong", "certificate chain too long");
          continue;
        }
        if (issuer.selfSigned) {
          this.#note("selfSigned", "self-signed certificate in certificate chain");
          continue;
        }
      }
      const problem = this.#signatureProblem(last, issuer);
      if (problem !== undefined) {
        this.#note("signature", problem);
        continue;
      }
      const found = this.from([...path, issuer]);
      if (found) return found;
    }
    if (!any) {
      const which = last.trusted && path.length > 1 ? "issuer" : "local issuer";
      this.#note("incomplete", `unable to get ${which} certificate`);
    }
    return undefined;
  }

  #signatureProblem(link: ChainCertificate, issuer: ChainCertificate): string | undefined {
    if (++this.#way > MAX_WAY) return this.#tooMany();
    const known = this.#found.get(link) ?? new Map<ChainCertificate, string | undefined>();
    if (known.has(issuer)) return known.get(issuer);
    const { key } = issuer;
    if (typeof key === "string") return key;
    if (tooWeak(key)) return "CA certificate key too weak";
    if (this.trust.knows(link, issuer)) return undefined;
    if (++this.#steps > MAX_STEPS) return this.#tooMany();
    if (!issuer.trusted && ++this.#foreign > MAX_WASTED + this.options.depth) {
      return this.#tooMany();
    }
    const problem = signatureProblem(link.fields.signed, key);
    this.#found.set(link, known.set(issuer, problem));
    return problem;
  }

  #tooMany(): string {
    this.#note("steps", TOO_MANY);
    return TOO_MANY;
  }

  /** The first one of the highest rank stays. */
  #note(rank: Rank, reason: string): void {
    if (RANKS.indexOf(rank) <= RANKS.indexOf(this.#rank)) return;
    this.#rank = rank;
    this.reason = reason;
  }
}

/** The cheap part of the question; whether the issuer is an authority is asked later. */
function mayHaveIssued(issuer: ChainCertificate, link: ChainCertificate): boolean {
  return issuer.subject === link.issuer && link.namesKeyOf(issuer);
}
