/** The certificates that a peer sent in the handshake: its own, then those of the issuers.
 *  Verification and variables share them, so that each certificate is read once. */

import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";

/** One certificate, read on first use. */
export class SentCertificate {
  #read: Certificate | undefined;
  #error: unknown;

  constructor(readonly der: Uint8Array) {}

  /** Throws `DecodeError`. */
  read(): Certificate {
    if (this.#read) return this.#read;
    if (this.#error !== undefined) throw this.#error;
    try {
      return this.#read = readCertificate(this.der);
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }
}

/** The peer's own certificate first; empty when it sent none. */
export type SentChain = readonly SentCertificate[];

const NONE: SentChain = [];

/** `ders`: the certificates in DER, as the TLS library returns them. */
export function sentChain(ders: readonly Uint8Array[] = []): SentChain {
  return ders.length === 0 ? NONE : ders.map((der) => new SentCertificate(der));
}
