/** The certificates that a client sent in the handshake: its own, then those of the issuers.
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

/** The client's own certificate first; empty when it sent none. */
export type ClientChain = readonly SentCertificate[];

const NONE: ClientChain = [];

/** `ders`: the certificates in DER, as the TLS library returns them. */
export function clientChain(ders: readonly Uint8Array[] = []): ClientChain {
  return ders.length === 0 ? NONE : ders.map((der) => new SentCertificate(der));
}
