/** Random and damaged requests: for any bytes, the monitor's reader throws `DecodeError` or returns a
 *  request that encodes to the same bytes. FUZZ_RUNS sets the number of frames. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Reader } from "../../src/codec/bytes.ts";
import { Frames } from "../../src/privsep/frame.ts";
import { FROM_WORKER } from "../../src/privsep/message_codec.ts";
import { anyBytes, damaged, decoded, forAll, mostly, runs } from "../codec/properties.ts";
import { SAMPLES } from "./messages_samples.ts";

const RUNS = runs(60_000);
const SEEDS = Object.values(SAMPLES).map((message) => FROM_WORKER.encode(message));

/** Half of the frames get a correct length, so that the damage is in the fields. */
const FRAMES = fc.record({
  bytes: mostly(
    damaged(SEEDS),
    10,
    fc.oneof(anyBytes(60, 1), fc.uint8Array({ minLength: 1, maxLength: 60, max: 3 })),
  ),
  corrected: fc.boolean(),
});

test(
  `${RUNS} damaged frames are read as they are written, or refused`,
  { timeout: 600_000 },
  () => {
    const counts = { read: 0, refused: 0, waiting: 0 };
    forAll(RUNS, FRAMES, ({ bytes: damage, corrected }) => {
      const bytes = damage.slice();
      if (corrected && bytes.length >= 5) {
        new DataView(bytes.buffer).setUint32(0, bytes.length - 4);
      }
      const read = decoded(() => readAll(bytes), /^privsep: [A-Za-z ]+: .+ at byte \d+$/);
      if (read === undefined) counts.refused++;
      else if (read === 0) counts.waiting++;
      else counts.read++;
    });
    for (const [what, count] of Object.entries(counts)) {
      assert(count > RUNS / 50, `${what}: only ${count}`);
    }
  },
);

/** Reads frames and asserts that each is written as it was read. Returns their number. */
function readAll(bytes: Uint8Array): number {
  let count = 0;
  for (const { kind, body } of new Frames(FROM_WORKER.maxLength).push(bytes)) {
    count++;
    const raw = body.bytes.slice();
    const message = FROM_WORKER.decode(kind, new Reader(raw, "privsep"));
    const again = FROM_WORKER.encode(message);
    // FATAL is excepted, because its texts are cut.
    assertStrictEquals(again[4], kind);
    if (message.kind !== "FATAL") assertEquals(again.subarray(5), raw);
  }
  return count;
}
