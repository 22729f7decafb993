/** Revocation lists for tests, encoded here. Their signatures are zeros. */

import { TAG } from "../../../src/codec/der.ts";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  time,
  unsigned,
} from "../../../src/codec/der_write.ts";
import { cn, extension } from "./samples.ts";

export const ECDSA = sequence(objectIdentifier("1.2.840.10045.4.3.2"));

/** The parts of a list, each as DER; an empty array omits a part. */
export interface ListParts {
  readonly version?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly thisUpdate?: Uint8Array;
  readonly nextUpdate?: Uint8Array;
  readonly entries?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly outerAlgorithm?: Uint8Array;
  readonly signature?: Uint8Array;
}

export function listBody(parts: ListParts = {}): Uint8Array {
  return sequence(
    parts.version ?? unsigned(Uint8Array.of(1)),
    parts.algorithm ?? ECDSA,
    parts.issuer ?? cn("authority"),
    parts.thisUpdate ?? time(Date.UTC(2026, 0, 1)),
    parts.nextUpdate ?? time(Date.UTC(2026, 1, 1)),
    parts.entries ?? sequence(entry([1, 2]), entry([0xff])),
    parts.extensions ? element(0xa0, sequence(...parts.extensions)) : new Uint8Array(),
  );
}

export function list(parts: ListParts = {}): Uint8Array {
  return sequence(
    listBody(parts),
    parts.outerAlgorithm ?? parts.algorithm ?? ECDSA,
    parts.signature ?? bitString(new Uint8Array(8)),
  );
}

export function entry(serial: readonly number[], ...extensions: Uint8Array[]): Uint8Array {
  return sequence(
    unsigned(Uint8Array.from(serial)),
    time(Date.UTC(2025, 5, 1)),
    extensions.length > 0 ? sequence(...extensions) : new Uint8Array(),
  );
}

/** A list that uses every feature of the reader. */
export function richList(): Uint8Array {
  const number = extension("2.5.29.20", unsigned(Uint8Array.of(7)));
  const keyId = extension("2.5.29.35", sequence(element(0x80, Uint8Array.of(1, 2, 3))), true);
  const reason = extension("2.5.29.21", element(0x0a, Uint8Array.of(1)), true);
  const since = extension("2.5.29.24", element(TAG.generalizedTime, new Uint8Array(15)));
  return list({
    entries: sequence(entry([1, 2], reason, since), entry([0xff]), entry([3])),
    extensions: [number, keyId, extension("1.2.3.4", Uint8Array.of(5, 0))],
  });
}
