import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, DecodeError, Reader } from "../../src/codec/bytes.ts";
import { Frame, Frames, KIND, readId, readText } from "../../src/privsep/frame.ts";
import { encodeWorker, type WorkerMessage, workerMessage } from "../../src/privsep/messages.ts";
import { SAMPLES } from "./messages_samples.ts";

const FORM = /^privsep: [A-Za-z ]+: .+ at byte \d+$/;

function body(frame: Uint8Array): Reader {
  return new Reader(frame.subarray(5), "privsep");
}

function refuses(kind: number, bytes: Uint8Array, why?: RegExp): void {
  assert.throws(() => workerMessage(kind, new Reader(bytes, "privsep")), (error) => {
    assert.ok(error instanceof DecodeError, String(error));
    assert.match(error.message, FORM);
    if (why) assert.match(error.message, why);
    return true;
  });
}

function read(from: "worker" | "monitor", chunks: readonly Uint8Array[]): [number, number[]][] {
  const frames = new Frames(from);
  const found: [number, number[]][] = [];
  for (const chunk of chunks) {
    for (const { kind, body } of frames.push(chunk)) {
      found.push([kind, [...body.take(body.left, "all")]]);
    }
  }
  return found;
}

for (const [name, message] of Object.entries(SAMPLES)) {
  test(`${name} is read as it was written`, () => {
    const frame = encodeWorker(message);
    assert.equal(new DataView(frame.buffer, frame.byteOffset).getUint32(0), frame.length - 4);
    assert.equal(frame[4], message.kind);
    const again = workerMessage(message.kind, body(frame));
    assert.deepEqual(again, message);
    assert.deepEqual(encodeWorker(again), frame);
  });

  test(`${name} cut short anywhere, or with a byte more, is refused`, () => {
    const bytes = encodeWorker(message).subarray(5);
    for (let length = 0; length < bytes.length; length++) {
      refuses(message.kind, bytes.subarray(0, length));
    }
    refuses(message.kind, concat([bytes, Uint8Array.of(0)]), /^privsep: end: 1 bytes left/);
  });
}

test("frames come out the same, however the stream is cut", () => {
  const all = concat(Object.values(SAMPLES).map(encodeWorker));
  const whole = read("worker", [all]);
  assert.equal(whole.length, Object.keys(SAMPLES).length);
  for (const size of [1, 2, 3, 4, 5, 7, 100, 1000]) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += size) chunks.push(all.slice(at, at + size));
    assert.deepEqual(read("worker", chunks), whole, `in chunks of ${size}`);
  }
  for (let at = 0; at <= all.length; at++) {
    assert.deepEqual(
      read("worker", [all.subarray(0, at), all.subarray(at)]),
      whole,
      `cut at ${at}`,
    );
  }
});

test("a frame that comes byte by byte is not copied as a whole for each of them", () => {
  const value = "x".repeat(131_072);
  const message: WorkerMessage = {
    kind: KIND.START,
    id: 1,
    delayed: false,
    ruled: false,
    ip: "",
    host: "",
    info: "",
    variables: new Map(Array.from({ length: 7 }, (_, i) => [`SSL_CLIENT_CERT_CHAIN_${i}`, value])),
  };
  const frame = encodeWorker(message);
  const frames = new Frames("worker");
  const begun = performance.now();
  let found = 0;
  for (const byte of frame) for (const _ of frames.push(Uint8Array.of(byte))) found++;
  assert.equal(found, 1);
  assert.ok(performance.now() - begun < 10_000); // copies would be 400 GB
});

test("what is kept of a chunk is no view of it", () => {
  const frames = new Frames("worker");
  const frame = encodeWorker({ kind: KIND.CANCEL, id: 77 });
  const chunk = concat([frame, frame.subarray(0, 9)]);
  assert.equal([...frames.push(chunk)].length, 1);
  chunk.fill(0xff);
  const [rest] = frames.push(frame.subarray(9));
  assert.deepEqual(workerMessage(KIND.CANCEL, rest?.body as Reader), { kind: KIND.CANCEL, id: 77 });
});

test("a length beyond the kind's is refused before the frame has come", () => {
  for (
    const [from, kind, max] of [
      ["worker", KIND.START, 1 << 20],
      ["worker", KIND.COUNTS, 1 << 16],
      ["worker", KIND.FATAL, 16_384],
      ["worker", KIND.CANCEL, 4096],
      ["worker", 63, 4096],
      ["worker", 255, 4096],
      ["monitor", KIND.FILES, 8 << 20],
      ["monitor", KIND.EXITED, 8 << 20],
    ] as const
  ) {
    const head = (length: number): Uint8Array => {
      const bytes = new Uint8Array(5);
      new DataView(bytes.buffer).setUint32(0, length);
      bytes[4] = kind;
      return bytes;
    };
    assert.deepEqual(read(from, [head(max)]), []);
    for (const length of [0, max + 1, 2 ** 31, 2 ** 32 - 1]) {
      const wrong = {
        name: "DecodeError",
        message: /^privsep: length: \d+ in a frame of kind \d+ at/,
      };
      assert.throws(() => read(from, [head(length)]), wrong, `${kind} ${length}`);
    }
  }
});

test("no other kinds are requests", () => {
  const known = new Set<number>(Object.values(KIND).filter((kind) => kind < 64));
  for (let kind = 0; kind < 256; kind++) {
    if (!known.has(kind)) refuses(kind, new Uint8Array(0), /no request/);
  }
});

const STRINGS = (of: Frame, ...texts: Uint8Array[]): Uint8Array => {
  for (const text of texts) of.u32(text.length).bytes(text);
  return of.done().subarray(5);
};
const bytes = (n: number): Uint8Array => new Uint8Array(n).fill(0x61);

test("texts and numbers have caps, and are what they say", () => {
  const start = (): Frame => new Frame(KIND.START).id(1).u8(0).u8(0);
  const none = bytes(0);
  for (
    const [kind, body, why] of [
      [KIND.RESOLVED, STRINGS(new Frame(KIND.RESOLVED), bytes(65)), /address: 65 bytes/],
      [KIND.FATAL, STRINGS(new Frame(KIND.FATAL).u8(1), bytes(8001), none), /message: 8001/],
      [KIND.FATAL, STRINGS(new Frame(KIND.FATAL).u8(1), none, bytes(8001)), /hint: 8001/],
      [KIND.START, STRINGS(start(), bytes(65), none, none), /ip: 65/],
      [KIND.START, STRINGS(start(), none, bytes(1025), none), /host: 1025/],
      [KIND.START, STRINGS(start(), none, none, bytes(1025)), /info: 1025/],
      [KIND.START, STRINGS(start(), Uint8Array.of(0x61, 0)), /ip: holds a NUL/],
      [KIND.START, STRINGS(start(), Uint8Array.of(0xff)), /ip: not UTF-8/],
      [KIND.START, STRINGS(start(), Uint8Array.of(0xc0, 0x80)), /ip: not UTF-8/],
      [KIND.START, STRINGS(start(), Uint8Array.of(0xed, 0xa0, 0x80)), /ip: not UTF-8/],
      [KIND.START, new Frame(0).id(1).u8(2).done().subarray(5), /delayed: 2/],
      [KIND.START, new Frame(0).id(1).u8(1).u8(255).done().subarray(5), /ruled: 255/],
      [KIND.KILL, new Frame(0).id(1).u8(9).done().subarray(5), /signal: 9/],
      [KIND.CANCEL, new Frame(0).u32(0x200000).u32(0).done().subarray(5), /id: too large/],
    ] as const
  ) refuses(kind, body, why);
});

test("a START has at most 2048 variables, each name once", () => {
  const frame = (count: number): Frame => {
    const made = new Frame(KIND.START).id(1).u8(0).u8(0).text("").text("").text("");
    return made.u32(count);
  };
  const most = frame(2048);
  for (let i = 0; i < 2048; i++) most.text(`SSL_CLIENT_${i}`).text("");
  const message = workerMessage(KIND.START, body(most.done()));
  assert.equal(message.kind === KIND.START && message.variables.size, 2048);
  const over = frame(2049);
  for (let i = 0; i < 2049; i++) over.text(`SSL_CLIENT_${i}`).text("");
  refuses(KIND.START, over.done().subarray(5), /variables: 2049 of them/);
  refuses(KIND.START, frame(0xffffffff).done().subarray(5), /variables: 4294967295/);
  const twice = frame(2).text("PROTO").text("a").text("PROTO").text("b").done();
  refuses(KIND.START, twice.subarray(5), /there twice/);
});

test("COUNTS and SCRAPE cannot announce more than there is, nor more than there can be", () => {
  for (const kind of [KIND.COUNTS, KIND.SCRAPE]) {
    const frame = (count: number): Uint8Array =>
      new Frame(kind).id(1).u32(count).bytes(bytes(80)).done().subarray(5);
    refuses(kind, frame(0xffffffff), /counts: 4294967295 numbers/);
    refuses(kind, frame(4096), /counts: needs 32768 bytes/);
    refuses(kind, frame(9), /8 bytes left/);
  }
});

test("what the monitor would not take is not sent, and is no end of the worker", () => {
  const sample = SAMPLES["START"] as WorkerMessage & { kind: typeof KIND.START };
  const withVariables = (variables: Map<string, string>): WorkerMessage => ({
    ...sample,
    variables,
  });
  const many = new Map(Array.from({ length: 2049 }, (_, i) => [`SSL_CLIENT_${i}`, ""]));
  const chain = Array.from({ length: 9 }, (_, i) => [`C${i}`, "x".repeat(131_000)] as const);
  for (
    const variables of [
      many,
      new Map(chain),
      new Map([["SSL_CLIENT_S_DN", "x".repeat(131_073)]]),
      new Map([["SSL_CLIENT_S_DN", "\u20ac".repeat(50_000)]]),
      new Map([["SSL_CLIENT_S_DN", "a\0b"]]),
    ]
  ) {
    assert.throws(
      () => encodeWorker(withVariables(variables)),
      /^Error: unable to ask for a program/,
    );
  }
  const fits = withVariables(new Map([["SSL_CLIENT_S_DN", "\u20ac".repeat(43_690)]]));
  assert.deepEqual(workerMessage(KIND.START, body(encodeWorker(fits))), fits);
});

test("a worker's last words are cut to what the monitor takes", () => {
  const message = "\u20ac\0".repeat(10_000);
  const frame = encodeWorker({ kind: KIND.FATAL, code: 1, message, hint: message });
  const read = workerMessage(KIND.FATAL, body(frame));
  assert.ok(read.kind === KIND.FATAL && read.message.startsWith("\u20ac?\u20ac?"));
});

test("an id goes through whole, up to 2^53 - 1", () => {
  for (const id of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, Number.MAX_SAFE_INTEGER]) {
    assert.equal(readId(body(new Frame(64).id(id).done()), "id"), id);
  }
});

test("a frame grows with what is put into it", () => {
  const text = "\u20ac".repeat(1000);
  const frame = new Frame(KIND.FILES).u8(1).bytes(bytes(511)).text(text).u32(7).done();
  const reader = body(frame);
  assert.equal(reader.u8("first"), 1);
  assert.deepEqual(reader.take(511, "bytes"), bytes(511));
  assert.equal(readText(reader, "text", 3000), text);
  assert.equal(reader.u32("last"), 7);
  assert.equal(reader.left, 0);
});
