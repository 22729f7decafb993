import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, Reader } from "../../src/codec/bytes.ts";
import { EncodeError } from "../../src/privsep/fields.ts";
import { Frames } from "../../src/privsep/frame.ts";
import { type Codec, FROM_MONITOR, FROM_WORKER } from "../../src/privsep/message_codec.ts";
import {
  type Message,
  type MessageOf,
  MESSAGES,
  type Side,
  type WorkerMessage,
} from "../../src/privsep/messages.ts";
import { numbers } from "./random.ts";
import { ANSWERS, RandomMessages, SAMPLES } from "./messages_samples.ts";
import { RawFrame } from "./raw_frame.ts";

const FORM = /^privsep: [A-Za-z ]+: .+ at byte \d+$/;

/** The codec of each side, and its samples. */
const SIDES: readonly [Codec<Side>, Readonly<Record<string, Message<Side>>>][] = [
  [FROM_WORKER as Codec<Side>, SAMPLES],
  [FROM_MONITOR as Codec<Side>, ANSWERS],
];

const ROWS = Object.entries(MESSAGES);

function body(frame: Uint8Array): Reader {
  return new Reader(frame.subarray(5), "privsep");
}

function refuses(codec: Codec<Side>, kind: number, bytes: Uint8Array, why?: RegExp): void {
  const error = assertThrows(
    () => codec.decode(kind, new Reader(bytes, "privsep")),
    DecodeError,
    FORM,
  );
  if (why) assertMatch(error.message, why);
}

function read(codec: Codec<Side>, chunks: readonly Uint8Array[]): [number, number[]][] {
  const frames = new Frames(codec.maxLength);
  const found: [number, number[]][] = [];
  for (const chunk of chunks) {
    for (const { kind, body } of frames.push(chunk)) {
      found.push([kind, [...body.take(body.left, "all")]]);
    }
  }
  return found;
}

test("each kind has a number of its own, a worker's below 64, and samples", () => {
  const numbers = ROWS.map(([, { number }]) => number);
  assertStrictEquals(new Set(numbers).size, numbers.length);
  for (const [kind, { from, number, states }] of ROWS) {
    assert(from === "worker" ? number > 0 && number < 64 : number >= 64 && number < 256, kind);
    assertStrictEquals(states.length > 0, from === "worker", kind);
    const samples = Object.values(from === "worker" ? SAMPLES : ANSWERS);
    assert(samples.some((sample) => sample.kind === kind), kind);
  }
});

for (const [codec, samples] of SIDES) {
  for (const [name, message] of Object.entries(samples)) {
    test(`${name} is read as it was written`, () => {
      const frame = codec.encode(message);
      assertStrictEquals(
        new DataView(frame.buffer, frame.byteOffset).getUint32(0),
        frame.length - 4,
      );
      assertStrictEquals(frame[4], MESSAGES[message.kind].number);
      const again = codec.decode(frame[4] as number, body(frame));
      assertEquals(again, message);
      assertEquals(codec.encode(again), frame);
    });

    test(`${name} cut short anywhere, or with a byte more, is refused`, () => {
      const frame = codec.encode(message);
      const [bytes, number] = [frame.subarray(5), frame[4] as number];
      for (let length = 0; length < bytes.length; length++) {
        refuses(codec, number, bytes.subarray(0, length));
      }
      refuses(codec, number, concat([bytes, Uint8Array.of(0)]), /end: 1 bytes left|not JSON/);
    });
  }

  test(`frames of a ${codec.from} come out the same, however the stream is cut`, () => {
    const all = concat(Object.values(samples).map((message) => codec.encode(message)));
    const whole = read(codec, [all]);
    assertStrictEquals(whole.length, Object.keys(samples).length);
    for (const size of [1, 2, 3, 4, 5, 7, 100, 1000]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < all.length; at += size) chunks.push(all.slice(at, at + size));
      assertEquals(read(codec, chunks), whole, `in chunks of ${size}`);
    }
    for (let at = 0; at <= all.length; at++) {
      const cut = [all.subarray(0, at), all.subarray(at)];
      assertEquals(read(codec, cut), whole, `cut at ${at}`);
    }
  });

  test(`any message of a ${codec.from} is read as it was written`, () => {
    const random = new RandomMessages(numbers(29_112_026));
    for (const [kind, { from, fields, number }] of ROWS) {
      if (from !== codec.from) continue;
      for (let n = Object.keys(fields).length === 0 ? 1 : 200; n > 0; n--) {
        const message = random.of(codec.from, kind as Message<Side>["kind"]);
        const frame = codec.encode(message);
        // A Buffer, as from a socket. The values that are read must not be views of it.
        const [raw] = [...new Frames(codec.maxLength).push(Buffer.from(frame))];
        assertStrictEquals(raw?.kind, number);
        const again = codec.decode(number, raw?.body as Reader);
        raw?.body.bytes.fill(0xff);
        assertEquals(again, message);
      }
    }
  });

  test(`a length beyond the kind's is refused before the frame of a ${codec.from} has come`, () => {
    const head = (number: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(5);
      new DataView(bytes.buffer).setUint32(0, length);
      bytes[4] = number;
      return bytes;
    };
    for (const [kind, { from, number, max }] of ROWS) {
      if (from !== codec.from) continue;
      // A frame without fields is complete after its kind.
      assertStrictEquals(read(codec, [head(number, max)]).length, max === 1 ? 1 : 0);
      for (const length of [0, max + 1, 2 ** 31, 2 ** 32 - 1]) {
        const wrong = /^privsep: length: \d+ in a frame of kind/;
        const read1 = () => read(codec, [head(number, length)]);
        assertThrows(read1, DecodeError, wrong, `${kind} ${length}`);
      }
    }
    for (let number = 0; number < 256; number++) {
      if (ROWS.some(([, row]) => row.from === codec.from && row.number === number)) continue;
      const wrong = `privsep: kind: no message ${number} at byte 0`;
      for (
        const decode of [
          () => read(codec, [head(number, 1)]),
          () => codec.decode(number, body(head(number, 1))),
        ]
      ) {
        assertStrictEquals(assertThrows(decode, DecodeError).message, wrong);
      }
    }
  });
}

test("a worker's frames have caps of kilobytes, but for START and RUN", () => {
  for (const [kind, { from, max }] of ROWS) {
    if (from === "monitor") assert(max <= 8 << 20, kind);
    else assert(max <= (kind === "START" || kind === "RUN" ? 1 << 20 : 33_000), `${kind} ${max}`);
  }
});

test("a frame that comes byte by byte is not copied as a whole for each of them", () => {
  const value = "x".repeat(131_072);
  const message: WorkerMessage = {
    ...SAMPLES["START"] as MessageOf<"START">,
    variables: new Map(Array.from({ length: 7 }, (_, i) => [`SSL_CLIENT_CERT_CHAIN_${i}`, value])),
  };
  const frame = FROM_WORKER.encode(message);
  const frames = new Frames(FROM_WORKER.maxLength);
  const begun = performance.now();
  let found = 0;
  for (const byte of frame) for (const _ of frames.push(Uint8Array.of(byte))) found++;
  assertStrictEquals(found, 1);
  assert(performance.now() - begun < 10_000); // copies would be 400 GB
});

test("the kept part of a chunk is a copy", () => {
  const frames = new Frames(FROM_WORKER.maxLength);
  const frame = FROM_WORKER.encode({ kind: "CANCEL", id: 77 });
  const chunk = concat([frame, frame.subarray(0, 9)]);
  assertStrictEquals([...frames.push(chunk)].length, 1);
  chunk.fill(0xff);
  const [rest] = frames.push(frame.subarray(9));
  assertEquals(FROM_WORKER.decode(5, rest?.body as Reader), { kind: "CANCEL", id: 77 });
});

const bytes = (n: number): Uint8Array => new Uint8Array(n).fill(0x61);

/** A frame that begins like `frame`, followed by these texts unchanged. */
function withTexts(frame: RawFrame, ...texts: Uint8Array[]): RawFrame {
  for (const text of texts) frame.u32(text.length).bytes(text);
  return frame;
}

test("texts and numbers have caps, and their lengths are checked", () => {
  const start = (): RawFrame => new RawFrame("START").id(1).u8(0).u8(0);
  const take = (): RawFrame => new RawFrame("TAKE").id(1).bytes(bytes(16));
  const check = (): RawFrame => new RawFrame("CHECK").id(1);
  const none = bytes(0);
  for (
    const [kind, frame, why] of [
      ["RESOLVED", withTexts(new RawFrame("RESOLVED"), bytes(65)), /ip: 65 bytes/],
      ["FATAL", withTexts(new RawFrame("FATAL").u8(1), bytes(8001), none), /message: 8001/],
      ["FATAL", withTexts(new RawFrame("FATAL").u8(1), none, bytes(8001)), /hint: 8001/],
      ["START", withTexts(start(), bytes(65), none, none), /ip: 65/],
      ["START", withTexts(start(), none, bytes(254), none), /host: 254/],
      ["START", withTexts(start(), none, none, bytes(1025)), /info: 1025/],
      ["START", withTexts(start(), none, none, none).u32(1).text("N".repeat(257)), /name: 257/],
      [
        "START",
        withTexts(start(), none, none, none).u32(1).text("N").text("v".repeat(131_073)),
        /value: 131073/,
      ],
      ["START", withTexts(start(), Uint8Array.of(0x61, 0)), /ip: contains a NUL/],
      ["START", withTexts(start(), Uint8Array.of(0xff)), /ip: not UTF-8/],
      ["START", withTexts(start(), Uint8Array.of(0xc0, 0x80)), /ip: not UTF-8/],
      ["START", withTexts(start(), Uint8Array.of(0xed, 0xa0, 0x80)), /ip: not UTF-8/],
      ["START", new RawFrame("START").id(1).u8(2), /delayed: 2/],
      ["START", new RawFrame("START").id(1).u8(1).u8(255), /ruled: 255/],
      ["KILL", new RawFrame("KILL").id(1).u8(2), /signal: 2/],
      ["CANCEL", new RawFrame("CANCEL").u32(0x200000).u32(0), /id: too large/],
      ["TAKE", take().u32(0).u32(10_001), /count: 10001/],
      ["TAKE", take().u32(0).u32(1).u32(86_401), /seconds: 86401/],
      ["CHECK", check().u32(0).u32(0).u32(0).text("k".repeat(257)), /key: 257 bytes/],
    ] as const
  ) refuses(FROM_WORKER as Codec<Side>, MESSAGES[kind].number, frame.fields(), why);
});

test("a START has at most 2048 variables, each name once", () => {
  const { number } = MESSAGES.START;
  const start = (count: number): RawFrame =>
    new RawFrame("START").id(1).u8(0).u8(0).text("").text("").text("").u32(count);
  const most = start(2048);
  for (let i = 0; i < 2048; i++) most.text(`SSL_CLIENT_${i}`).text("");
  const message = FROM_WORKER.decode(number, body(most.done()));
  assertStrictEquals(message.kind === "START" && message.variables.size, 2048);
  const over = start(2049);
  for (let i = 0; i < 2049; i++) over.text(`SSL_CLIENT_${i}`).text("");
  const codec = FROM_WORKER as Codec<Side>;
  refuses(codec, number, over.fields(), /variables: 2049 of them/);
  refuses(codec, number, start(0xffffffff).fields(), /variables: 4294967295/);
  const twice = start(2).text("PROTO").text("a").text("PROTO").text("b");
  refuses(codec, number, twice.fields(), /repeated/);
});

test("COUNTS and SCRAPE cannot announce more values than they have or may have", () => {
  for (const kind of ["COUNTS", "SCRAPE"] as const) {
    const said = (count: number): Uint8Array =>
      new RawFrame(kind).id(1).u32(count).bytes(bytes(80)).fields();
    const [codec, { number }] = [FROM_WORKER as Codec<Side>, MESSAGES[kind]];
    refuses(codec, number, said(0xffffffff), /counts: 4294967295 numbers/);
    refuses(codec, number, said(4097), /counts: 4097 numbers/);
    refuses(codec, number, said(4096), /counts: needs 32768 bytes/);
    refuses(codec, number, said(9), /8 bytes left/);
  }
});

test("a message that the other side would refuse is not sent", () => {
  const start = SAMPLES["START"] as MessageOf<"START">;
  const take = SAMPLES["TAKE"] as MessageOf<"TAKE">;
  const withVariables = (entries: Iterable<readonly [string, string]>): WorkerMessage => ({
    ...start,
    variables: new Map(entries),
  });
  for (
    const message of [
      withVariables(Array.from({ length: 2049 }, (_, i) => [`SSL_CLIENT_${i}`, ""])),
      withVariables(Array.from({ length: 9 }, (_, i) => [`C${i}`, "x".repeat(131_000)])),
      withVariables([["SSL_CLIENT_S_DN", "x".repeat(131_073)]]),
      withVariables([["SSL_CLIENT_S_DN", "\u20ac".repeat(50_000)]]),
      withVariables([["SSL_CLIENT_S_DN", "a\0b"]]),
      withVariables([["N".repeat(257), ""]]),
      { ...start, host: "a.".repeat(127) },
      { ...take, limits: { ...take.limits, rate: { count: 10_001, seconds: 1 } } },
      { ...take, limits: { ...take.limits, network: { key: "k".repeat(257), count: 1 } } },
      { kind: "COUNTS", id: 1, counts: new Float64Array(4097) },
    ] satisfies WorkerMessage[]
  ) assertThrows(() => FROM_WORKER.encode(message), EncodeError);
  const long = { ...ANSWERS["KEPT"] as MessageOf<"KEPT">, bytes: new Uint8Array(8 << 20) };
  assertThrows(() => FROM_MONITOR.encode(long), EncodeError);
  const fits = withVariables([["SSL_CLIENT_S_DN", "\u20ac".repeat(43_690)]]);
  assertEquals(FROM_WORKER.decode(4, body(FROM_WORKER.encode(fits))), fits);
});

test("long texts are cut to the limit of the other side", () => {
  const message = "\u20ac\0".repeat(10_000);
  const frame = FROM_WORKER.encode({ kind: "FATAL", code: 1, message, hint: message });
  const read = FROM_WORKER.decode(MESSAGES.FATAL.number, body(frame));
  assert(read.kind === "FATAL" && read.message.startsWith("\u20ac?\u20ac?"));
});

test("a frame grows with its content", () => {
  const text = "\u20ac".repeat(1000);
  const reader = body(new RawFrame("FILES").u8(1).bytes(bytes(511)).text(text).u32(7).done());
  assertStrictEquals(reader.u8("first"), 1);
  assertEquals(reader.take(511, "bytes"), bytes(511));
  assertStrictEquals(new TextDecoder().decode(reader.take(reader.u32("length"), "text")), text);
  assertStrictEquals(reader.u32("last"), 7);
  assertStrictEquals(reader.left, 0);
});
