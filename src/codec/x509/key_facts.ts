/** Kind and size of public keys. Pure: no I/O. */

import { hex } from "../bytes.ts";
import type { Algorithm } from "./elements.ts";
import type { SubjectKey } from "./path.ts";

/** Object identifiers of the kinds of keys (RFC 3279, 5480, 8410). */
export const KEY = {
  rsa: "1.2.840.113549.1.1.1",
  pss: "1.2.840.113549.1.1.10",
  ec: "1.2.840.10045.2.1",
  ed25519: "1.3.101.112",
  ed448: "1.3.101.113",
  dsa: "1.2.840.10040.4.1",
} as const;

/** A curve's name, and the size of its order in bits. */
export interface Curve {
  readonly name: string;
  readonly bits: number;
}

/** By the DER of the identifier in hex (RFC 5480 2.1.1.1). */
const CURVES: Readonly<Record<string, Curve>> = {
  "06082a8648ce3d030107": { name: "P-256", bits: 256 },
  "06052b81040022": { name: "P-384", bits: 384 },
  "06052b81040023": { name: "P-521", bits: 521 },
  "06052b81040021": { name: "P-224", bits: 224 },
  "06082a8648ce3d030101": { name: "P-192", bits: 192 },
  "06052b8104000a": { name: "secp256k1", bits: 256 },
};

/** The named curve of an EC key. Undefined for an unknown curve or explicit parameters. */
export function namedCurve({ parameters }: Algorithm): Curve | undefined {
  return parameters && CURVES[hex(parameters)];
}

/** Bits of the modulus of an RSA key. */
export function rsaBits({ modulus }: NonNullable<SubjectKey["rsa"]>): number {
  return modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
}
