/** The certificates of PEM blocks. Pure: no I/O. */

import { DerReader, TAG } from "../codec/der.ts";
import type { PemBlock } from "../codec/x509/pem.ts";

/** What `openssl x509 -trustout` writes: a certificate, and behind it what to trust it for. */
export const TRUSTED = "TRUSTED CERTIFICATE";

/** The certificate (DER) of a block, if it is one. Trust settings are left out: they say nothing about a
 *  certificate of our own. Throws `DecodeError`. */
export function certificateOf({ label, bytes }: PemBlock): Uint8Array | undefined {
  if (label === "CERTIFICATE" || label === "X509 CERTIFICATE") return bytes;
  if (label !== TRUSTED) return undefined;
  return new DerReader(bytes, "x509").expect(TAG.sequence, "certificate").der;
}

/** The certificates of all blocks, in order. Throws `DecodeError`. */
export function certificatesOf(blocks: readonly PemBlock[]): Uint8Array[] {
  return blocks.flatMap((block) => certificateOf(block) ?? []);
}
