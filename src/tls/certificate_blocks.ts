/** The certificates of PEM blocks. Pure: no I/O. */

import { DerReader, TAG } from "../codec/der.ts";
import type { PemBlock } from "../codec/x509/pem.ts";

/** PEM label that `openssl x509 -trustout` writes: a certificate, followed by its trust
 *  settings. */
export const TRUSTED = "TRUSTED CERTIFICATE";

/** Returns the certificate (DER) of a block; undefined if the block is not a certificate. Drops
 *  trust settings: they say nothing about a certificate of our own. Throws `DecodeError`. */
export function certificateOf({ label, bytes }: PemBlock): Uint8Array | undefined {
  if (label === "CERTIFICATE" || label === "X509 CERTIFICATE") return bytes;
  if (label !== TRUSTED) return undefined;
  return new DerReader(bytes, "x509").expect(TAG.sequence, "certificate").der;
}

/** The certificates of all blocks, in order. Throws `DecodeError`. */
export function certificatesOf(blocks: readonly PemBlock[]): Uint8Array[] {
  return blocks.flatMap((block) => certificateOf(block) ?? []);
}
