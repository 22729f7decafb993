/** Random and damaged requests: for any bytes, the monitor's reader throws `DecodeError` or returns a
 *  request that encodes to the same bytes. FUZZ_RUNS sets the number of frames. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { DecodeError, Reader } from "../../src/codec/bytes.ts";
import { Frames } from "../../src/privsep/frame.ts";
import { FROM_WORKER } from "../../src/privsep/messages.ts";
import { mutate, numbers } from "../codec/mutate.ts";
import { SAMPLES } from "./messages_samples.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 60_000);
const SEEDS = Object.values(SAMPLES).map((message) => FROM_WORKER.encode(message));

test(
  `${RUNS} damaged frames are read as they are written, or refused`,
  { timeout: 600_000 },
  () => {
    const below = numbers(20_261_121);
    const counts = { read: 0, refused: 0, waiting: 0 };
    for (let i = 0; i < RUNS; i++) {
      const seed = SEEDS[below(SEEDS.length)] as Uint8Array;
      const bytes = below(10) === 0
        ? Uint8Array.from({ length: 1 + below(60) }, () => below(below(2) === 0 ? 4 : 256))
        : mutate(seed, below);
      // Half of the frames get a correct length, so that the damage is in the fields.
      if (bytes.length >= 5 && below(2) === 0) {
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - 4);
      }
      try {
        let some = false;
        for (const { kind, body } of new Frames(FROM_WORKER.maxLength).push(bytes)) {
          some = true;
          const raw = body.bytes.slice();
          const message = FROM_WORKER.decode(kind, new Reader(raw, "privsep"));
          const again = FROM_WORKER.encode(message);
          // FATAL is excepted, because its texts are cut.
          assertStrictEquals(again[4], kind);
          if (message.kind !== "FATAL") assertEquals(again.subarray(5), raw);
          counts.read++;
        }
        if (!some) counts.waiting++;
      } catch (error) {
        assert(error instanceof DecodeError, `${error} for ${bytes}`);
        assertMatch(error.message, /^privsep: [A-Za-z ]+: .+ at byte \d+$/);
        counts.refused++;
      }
    }
    for (const [what, count] of Object.entries(counts)) {
      assert(count > RUNS / 50, `${what}: only ${count}`);
    }
  },
);
