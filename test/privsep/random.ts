/** Random numbers and damage for tests in which a value depends on what has happened before. fast-check
 *  makes its values in advance (test/codec/properties.ts). The same in every run. */

import { concat } from "../../src/codec/bytes.ts";

/** Deterministic numbers from 0 to below n (mulberry32). */
export function numbers(seed: number): (n: number) => number {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Damages bytes: changes one to four bytes, flips bits, cuts out or doubles parts. */
export function mutate(bytes: Uint8Array, below: (n: number) => number): Uint8Array {
  let out = bytes.slice();
  for (let n = 1 + below(4); n > 0; n--) {
    const at = below(out.length);
    const kind = below(6);
    if (kind < 3) out[at] = below(256);
    else if (kind === 3) out[at] = (out[at] ?? 0) ^ (1 << below(8));
    else if (kind === 4) out = concat([out.subarray(0, at), out.subarray(at + 1 + below(4))]);
    else {
      const from = below(out.length);
      out = concat([out.subarray(0, at), out.subarray(from, from + below(40)), out.subarray(at)]);
    }
    if (out.length === 0) out = Uint8Array.of(0x30);
  }
  return out;
}
