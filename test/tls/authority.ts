/** Signed certificates and revocation lists for tests, encoded here, with Ed25519 keys: these are fast
 *  and have deterministic signatures. */

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  time,
  unsigned,
} from "../../src/codec/der_write.ts";
import { TAG } from "../../src/codec/der.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { entry, listBody } from "../codec/x509/crl_samples.ts";
import { cn, extension } from "../codec/x509/samples.ts";

export const ED25519 = sequence(objectIdentifier("1.3.101.112"));
/** A time at which certificates are valid: by default they are valid from 2025 to 2035. */
export const NOW = Date.UTC(2030, 0, 1);

export interface Holder {
  readonly der: Uint8Array;
  readonly name: Uint8Array;
  readonly privateKey: KeyObject;
  readonly serial: number;
}

/** The certificate to issue. */
export interface Request {
  readonly name: string;
  /** The issuer; absent: self-signed. */
  readonly by?: Holder;
  readonly ca?: boolean;
  /** Use the key of this holder. */
  readonly keyOf?: Holder;
  readonly extensions?: readonly Uint8Array[];
  /** SubjectPublicKeyInfo that replaces that of the key. */
  readonly key?: Uint8Array;
  readonly from?: number;
  readonly until?: number;
  /** AlgorithmIdentifier and signature that replace the correct ones. */
  readonly algorithm?: Uint8Array;
  readonly signature?: Uint8Array;
}

let serials = 1;

/** Issues a certificate. */
export function certify(request: Request): Holder {
  const pair = generateKeyPairSync("ed25519");
  const privateKey = request.keyOf?.privateKey ?? pair.privateKey;
  const name = cn(request.name);
  const serial = serials++;
  const constraints = request.ca ? element(TAG.boolean, Uint8Array.of(255)) : new Uint8Array();
  const body = sequence(
    element(0xa0, unsigned(Uint8Array.of(2))),
    unsigned(Uint8Array.of(serial >> 8, serial & 255)),
    request.algorithm ?? ED25519,
    request.by?.name ?? name,
    sequence(
      time(request.from ?? Date.UTC(2025, 0, 1)),
      time(request.until ?? Date.UTC(2035, 0, 1)),
    ),
    name,
    request.key ?? publicKey(request.keyOf ? request.keyOf.der : undefined, pair.publicKey),
    element(
      0xa3,
      sequence(
        extension("2.5.29.19", sequence(constraints), true),
        ...request.extensions ?? [],
      ),
    ),
  );
  const der = request.algorithm && request.signature
    ? sequence(body, request.algorithm, bitString(request.signature))
    : signed(body, request.by?.privateKey ?? privateKey);
  return { der, name, privateKey, serial };
}

/** Appends the signature. */
export function signed(body: Uint8Array, key: KeyObject): Uint8Array {
  return sequence(body, ED25519, bitString(sign(null, body, key)));
}

function publicKey(of: Uint8Array | undefined, own: KeyObject): Uint8Array {
  const spki = new Uint8Array(own.export({ type: "spki", format: "der" }));
  if (!of) return spki;
  // In every SubjectPublicKeyInfo of Ed25519 the same 12 bytes come before the 32 of the key.
  const head = spki.subarray(0, 12);
  const at = of.findIndex((_, i) => head.every((byte, j) => of[i + j] === byte));
  return of.slice(at, at + spki.length);
}

/** A revocation list of `by` with these certificates. */
export function revoke(by: Holder, ...revoked: Holder[]): Uint8Array {
  const entries = revoked.map(({ serial }) => entry([serial >> 8, serial & 255]));
  const body = listBody({
    algorithm: ED25519,
    issuer: by.name,
    thisUpdate: time(Date.UTC(2029, 0, 1)),
    nextUpdate: time(Date.UTC(2031, 0, 1)),
    entries: sequence(...entries),
  });
  return signed(body, by.privateKey);
}

/** The path and bytes of a file with PEM blocks. */
export function pemFile(label: string, ...ders: Uint8Array[]): { path: string; bytes: Uint8Array } {
  const text = ders.map((der) => encodePem(label, der)).join("");
  return { path: "test.pem", bytes: new TextEncoder().encode(text) };
}
