/** Control buffers of random bytes give a value or DecodeError, and never an endless loop. FUZZ_RUNS sets
 *  the number of buffers. */

import { assert } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { decodeRights, encodeRights, MSGHDR_LAYOUT } from "../../src/codec/scm_rights.ts";
import { decoded, forAll, runs } from "./properties.ts";

const BUFFERS = fc.record({
  layout: fc.constantFrom(MSGHDR_LAYOUT.linux, MSGHDR_LAYOUT.darwin),
  length: fc.nat({ max: 79 }),
  filled: fc.boolean(),
  damage: fc.array(fc.tuple(fc.nat({ max: 79 }), fc.nat({ max: 255 })), { maxLength: 3 }),
});

test(
  "a damaged control buffer is decoded within its bounds or refused",
  { timeout: 60_000 },
  () => {
    forAll(runs(50_000), BUFFERS, ({ layout, length, filled, damage }) => {
      const control = new Uint8Array(length);
      if (filled && length >= layout.headerBytes) {
        const count = Math.floor((length - layout.headerBytes) / 4);
        encodeRights(Array.from({ length: count }, (_, i) => i), control, layout);
      }
      for (const [at, value] of damage) if (length > 0) control[at % length] = value;
      const read = decoded(() => decodeRights(control, layout));
      if (read) assert(4 * read.fds.length <= length);
    });
  },
);
