/** Whom we trust: the certificate authorities and revocation lists that verification of client
 *  certificates starts from. `trust_files.ts` reads them. No I/O.
 *
 *  As in OpenSSL, an authority is an end of a chain (an anchor) only if it is self-signed; another
 *  one that is here (an intermediate) helps to build chains. A revocation list, wherever it stands,
 *  switches checking on for every certificate, where OpenSSL ignores lists unless told to check: a list
 *  that is there is meant to count. */

import { equalBytes, latin1 } from "../codec/bytes.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import type { Crl } from "../codec/x509/crl.ts";
import type { ChainCertificate } from "./chain_certificate.ts";

/** Links that were found good and need not be verified again, 130 bytes each. */
const MAX_KNOWN = 4096;

/** A revocation list with the keys it was found to be signed by. */
export interface HeldCrl {
  readonly crl: Crl;
  readonly signers: Set<string>;
}

/** Authorities and lists, read and indexed. Holds only caches that change. */
export class Trust {
  readonly #bySubject = new Map<string, ChainCertificate[]>();
  readonly #crls = new Map<string, HeldCrl[]>();
  readonly #known = new Set<string>();

  /** `files`: what was read, the folder included. `lacksLists`: there are lists that cannot be used, so no
   *  certificate can be taken for one that is not revoked. */
  constructor(
    links: readonly ChainCertificate[],
    crls: readonly Crl[],
    readonly files: readonly string[],
    readonly lacksLists = false,
  ) {
    for (const link of links) {
      const same = this.#bySubject.get(link.subject);
      if (!same) this.#bySubject.set(link.subject, [link]);
      else if (!same.some(({ id }) => id === link.id)) same.push(link);
    }
    for (const crl of crls) {
      const issuer = latin1(crl.issuer);
      const held = { crl, signers: new Set<string>() };
      this.#crls.set(issuer, [...this.#crls.get(issuer) ?? [], held]);
    }
  }

  /** Certificates with this subject, in the order of the files. */
  named(subject: string): readonly ChainCertificate[] {
    return this.#bySubject.get(subject) ?? [];
  }

  /** The certificate itself, if it is in our files. */
  find(der: Uint8Array, subject: string): ChainCertificate | undefined {
    return this.named(subject).find(({ certificate }) => equalBytes(certificate.der, der));
  }

  /** True: every certificate of a chain needs a valid list of its issuer. */
  get checksRevocation(): boolean {
    return this.#crls.size > 0 || this.lacksLists;
  }

  /** The lists of the issuer of this name. */
  crlsOf(issuer: string): readonly HeldCrl[] {
    return this.#crls.get(issuer) ?? [];
  }

  /** The certificates, each once. */
  get authorities(): Certificate[] {
    return [...this.#bySubject.values()].flat().map(({ certificate }) => certificate);
  }

  /** The revocation lists. */
  get lists(): Crl[] {
    return [...this.#crls.values()].flat().map(({ crl }) => crl);
  }

  /** Was `link` found to be signed by `issuer`, in a chain that was accepted? */
  knows(link: ChainCertificate, issuer: ChainCertificate): boolean {
    return this.#known.has(link.id + issuer.id);
  }

  /** Remembers the signatures of an accepted chain, so that nobody without one can fill this. */
  remember(path: readonly ChainCertificate[]): void {
    for (let i = 0; i + 1 < path.length; i++) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.add((path[i] as ChainCertificate).id + (path[i + 1] as ChainCertificate).id);
    }
  }
}
