/** The certificate authorities and revocation lists that peers are verified against.
 *  `trust_files.ts` reads them. No I/O.
 *
 *  As in OpenSSL, an authority can end a chain (is an anchor) only if it is self-signed; another
 *  one in the files (an intermediate) only helps to build chains. A revocation list in any of the
 *  files switches checking on for every certificate: a list that is installed is meant to count.
 *  OpenSSL ignores lists unless it is told to check. */

import { Buffer } from "node:buffer";
import { DecodeError, equalBytes, latin1 } from "../codec/bytes.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import type { Crl } from "../codec/x509/crl.ts";
import { ChainCertificate } from "./chain_certificate.ts";

/** Maximum links that were found good and are not verified again; 130 bytes each. */
const MAX_KNOWN = 4096;

/** A revocation list, and the keys that have verified its signature. */
export interface HeldCrl {
  readonly crl: Crl;
  readonly signers: Set<string>;
}

/** Authorities and lists, read and indexed. Only its caches change. */
export class Trust {
  #unread: readonly Uint8Array[];
  readonly #bySubject = new Map<string, ChainCertificate[]>();
  readonly #crls = new Map<string, HeldCrl[]>();
  readonly #known = new Set<string>();

  /** `files`: the paths that were read, including the folder. `lacksLists`: true if there are lists
   *  that cannot be used. Revocation is then checked all the same, so that a certificate is not
   *  accepted for lack of its list. `unread`: certificates (DER) that are read only when a chain
   *  needs them. Reading the 150 public authorities takes 50 ms, and a client needs one of them. */
  constructor(
    links: readonly ChainCertificate[],
    crls: readonly Crl[],
    readonly files: readonly string[],
    readonly lacksLists = false,
    unread: readonly Uint8Array[] = [],
  ) {
    this.#unread = unread;
    for (const link of links) this.#add(link);
    for (const crl of crls) {
      const issuer = latin1(crl.issuer);
      const held = { crl, signers: new Set<string>() };
      this.#crls.set(issuer, [...this.#crls.get(issuer) ?? [], held]);
    }
  }

  #add(link: ChainCertificate): void {
    const same = this.#bySubject.get(link.subject);
    if (!same) this.#bySubject.set(link.subject, [link]);
    else if (!same.some(({ id }) => id === link.id)) same.push(link);
  }

  /** Returns the certificates with this subject, in the order of the files. */
  named(subject: string): readonly ChainCertificate[] {
    if (this.#unread.length > 0) this.#readWith(subject);
    return this.#bySubject.get(subject) ?? [];
  }

  /** Reads the unread certificates that contain this name. An unreadable one is ignored, so the
   *  chain may end without an issuer. */
  #readWith(name: string): void {
    const bytes = Buffer.from(name, "latin1");
    const rest: Uint8Array[] = [];
    for (const der of this.#unread) {
      if (!Buffer.from(der.buffer, der.byteOffset, der.length).includes(bytes)) {
        rest.push(der);
        continue;
      }
      try {
        this.#add(new ChainCertificate(readCertificate(der), true));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
    this.#unread = rest;
  }

  /** Returns the certificate itself, if it is in our files. */
  find(der: Uint8Array, subject: string): ChainCertificate | undefined {
    return this.named(subject).find(({ certificate }) => equalBytes(certificate.der, der));
  }

  /** True if every certificate of a chain needs a valid list of its issuer. */
  get checksRevocation(): boolean {
    return this.#crls.size > 0 || this.lacksLists;
  }

  /** Returns the lists of the issuer with this name. */
  crlsOf(issuer: string): readonly HeldCrl[] {
    return this.#crls.get(issuer) ?? [];
  }

  /** The certificates that have been read so far, each once. */
  get authorities(): Certificate[] {
    return [...this.#bySubject.values()].flat().map(({ certificate }) => certificate);
  }

  /** The revocation lists. */
  get lists(): Crl[] {
    return [...this.#crls.values()].flat().map(({ crl }) => crl);
  }

  /** True if `link` was found to be signed by `issuer`, in a chain that was accepted. */
  knows(link: ChainCertificate, issuer: ChainCertificate): boolean {
    return this.#known.has(link.id + issuer.id);
  }

  /** Remembers the signatures of an accepted chain. Others are not remembered, so that a client
   *  without a valid certificate cannot fill the cache. */
  remember(path: readonly ChainCertificate[]): void {
    for (let i = 0; i + 1 < path.length; i++) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.add((path[i] as ChainCertificate).id + (path[i + 1] as ChainCertificate).id);
    }
  }
}
