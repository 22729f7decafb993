/** Control buffers of random bytes give a value or DecodeError, and never an endless loop. */

import { assert } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { decodeRights, encodeRights, MSGHDR_LAYOUT } from "../../src/codec/scm_rights.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 50_000);

/** mulberry32: a seeded generator, so that a failure can be repeated. */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("a damaged control buffer is decoded within its bounds or refused", () => {
  const random = generator(20261);
  for (let run = 0; run < RUNS; run++) {
    const layout = run % 2 ? MSGHDR_LAYOUT.linux : MSGHDR_LAYOUT.darwin;
    const control = new Uint8Array(Math.floor(random() * 80));
    if (random() < 0.7 && control.length >= layout.headerBytes) {
      const count = Math.floor((control.length - layout.headerBytes) / 4);
      encodeRights(Array.from({ length: count }, (_, i) => i), control, layout);
    }
    for (let i = Math.floor(random() * 4); i > 0 && control.length > 0; i--) {
      control[Math.floor(random() * control.length)] = Math.floor(random() * 256);
    }
    try {
      const { fds } = decodeRights(control, layout);
      assert(4 * fds.length <= control.length);
    } catch (error) {
      assert(error instanceof DecodeError, `run ${run}: ${error}`);
    }
  }
});
