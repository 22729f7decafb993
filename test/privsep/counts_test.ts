import assert from "node:assert/strict";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { countKinds } from "../../src/metrics/describe.ts";
import type { CountKind } from "../../src/metrics/registry.ts";
import {
  addCounts,
  checkCounts,
  introductionFrame,
  readIntroduction,
  readTotals,
  totalsFrame,
} from "../../src/privsep/counts.ts";
import { Frames, KIND } from "../../src/privsep/frame.ts";
import { encodeWorker, type WorkerMessage, workerMessage } from "../../src/privsep/messages.ts";

const KINDS: CountKind[] = ["count", "sum", "state"];

/** Reads one frame whose bytes are a Buffer, as those from a socket are. */
function frame(bytes: Uint8Array, from: "worker" | "monitor") {
  const [one, ...more] = new Frames(from).push(Buffer.from(bytes));
  assert.ok(one && more.length === 0);
  return one;
}

function decoded(message: WorkerMessage): WorkerMessage {
  const { kind, body } = frame(encodeWorker(message), "worker");
  return workerMessage(kind, body);
}

test("COUNTS and SCRAPE come as they were sent, and as copies", () => {
  const counts = Float64Array.of(0, 0.125, 2 ** 53 - 1, 1e-300);
  for (const kind of [KIND.COUNTS, KIND.SCRAPE]) {
    for (const id of [0, 1, 2 ** 40]) {
      const message = decoded({ kind, id, counts });
      assert.deepEqual(message, { kind, id, counts });
      assert.ok(message.kind === kind && message.counts.buffer.byteLength === counts.byteLength);
    }
  }
  assert.deepEqual(decoded({ kind: KIND.PLACED }), { kind: KIND.PLACED });
});

test("numbers that are cut off, too many or followed by something are refused", () => {
  const counts = new Float64Array(3);
  const whole = encodeWorker({ kind: KIND.COUNTS, id: 7, counts });
  for (let length = 5; length < whole.length; length++) {
    const cut = whole.slice(0, length);
    new DataView(cut.buffer).setUint32(0, length - 4);
    const { kind, body } = frame(cut, "worker");
    assert.throws(() => workerMessage(kind, body), DecodeError, String(length));
  }
  const longer = new Uint8Array([...whole, 0]);
  new DataView(longer.buffer).setUint32(0, longer.length - 4);
  const more = frame(longer, "worker");
  assert.throws(() => workerMessage(more.kind, more.body), /privsep: end: 1 bytes left/);
  const many = encodeWorker({ kind: KIND.COUNTS, id: 7, counts: new Float64Array(4097) });
  const { kind, body } = frame(many, "worker");
  assert.throws(() => workerMessage(kind, body), /privsep: counts: 4097 numbers/);
  for (const kind of [KIND.COUNTS, KIND.SCRAPE]) {
    const head = Uint8Array.of(0, 1, 0, 1, kind);
    assert.throws(() => [...new Frames("worker").push(head)], /privsep: length: 65537/);
  }
});

test("TOTALS and METRICS come as they were sent", () => {
  const totals = {
    counts: Float64Array.of(1, 2.5),
    workers: 3,
    programs: 7,
    silent: 1,
    ended: [4, 0, 2],
  };
  const one = frame(totalsFrame(9, totals), "monitor");
  assert.equal(one.kind, KIND.TOTALS);
  assert.deepEqual(readTotals(one.body), { id: 9, totals });
  assert.equal(one.body.left, 0);
  for (const socket of [true, false]) {
    const introduction = { started: 1_795_000_000.125, socket };
    const { kind, body } = frame(introductionFrame(introduction), "monitor");
    assert.equal(kind, KIND.METRICS);
    assert.deepEqual(readIntroduction(body), introduction);
    assert.equal(body.left, 0);
  }
});

test("what a worker can have counted is taken", () => {
  checkCounts(Float64Array.of(0, 0, 0), KINDS, undefined);
  checkCounts(Float64Array.of(5, 0.5, 1), KINDS, Float64Array.of(5, 0.25, 9));
  checkCounts(new Float64Array(3).fill(Number.MAX_SAFE_INTEGER), KINDS, undefined);
});

test("what nobody can have counted is refused, at its place", () => {
  const odd = [NaN, Infinity, -Infinity, -1, -0, -1e-9, 2 ** 53, 1e300];
  for (const [i, kind] of KINDS.entries()) {
    for (const value of kind === "sum" ? odd : [...odd, 0.5]) {
      const counts = new Float64Array(3);
      counts[i] = value;
      assert.throws(
        () => checkCounts(counts, KINDS, undefined),
        new DecodeError(`privsep: counts: nothing to count with at byte ${8 * i}`),
        `${kind} ${value}`,
      );
    }
  }
  for (const length of [0, 2, 4, 4000]) {
    assert.throws(
      () => checkCounts(new Float64Array(length), KINDS, undefined),
      new DecodeError(`privsep: counts: ${length}, not 3 at byte 0`),
    );
  }
});

test("a counter that goes back is refused, a state may", () => {
  const before = Float64Array.of(5, 0.5, 9);
  checkCounts(Float64Array.of(5, 0.5, 0), KINDS, before);
  for (const [i, counts] of [[0, [4, 0.5, 9]], [1, [5, 0.25, 9]]] as const) {
    assert.throws(
      () => checkCounts(Float64Array.from(counts), KINDS, before),
      new DecodeError(`privsep: counts: less than before at byte ${8 * i}`),
    );
  }
});

test("states are added only where they are known", () => {
  const sums = Float64Array.of(1, 1, 1);
  addCounts(sums, Float64Array.of(2, 0.5, 3), KINDS, true);
  assert.deepEqual([...sums], [3, 1.5, 4]);
  addCounts(sums, Float64Array.of(2, 0.5, 3), KINDS, false);
  assert.deepEqual([...sums], [5, 2, 4]);
});

test("what a server counts fits the caps", () => {
  const kinds = countKinds();
  assert.ok(kinds.length > 100 && kinds.length < 1000, String(kinds.length));
  assert.equal(kinds.filter((kind) => kind === "state").length, 4);
  assert.equal(kinds.filter((kind) => kind === "sum").length, 4);
});
