import { assert, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import { cdbHash, CdbReader, MAX_KEY, MAX_VALUE } from "../../src/codec/cdb.ts";
import { CdbWriter } from "../../src/codec/cdb_write.ts";

/** A database of `records`, as one array. */
function build(records: [key: string, value: string][]): Uint8Array<ArrayBuffer> {
  const writer = new CdbWriter();
  for (const [key, value] of records) writer.add(fromLatin1(key), fromLatin1(value));
  return concat(writer.finish());
}

function open(bytes: Uint8Array): CdbReader {
  return new CdbReader((at, length) => bytes.subarray(at, at + length), bytes.length);
}

function find(bytes: Uint8Array, key: string): string | undefined {
  const value = open(bytes).find(fromLatin1(key));
  return value && latin1(value);
}

/** Overwrites a little-endian number. */
function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}

test("the hash is djb's", () => {
  assertStrictEquals(cdbHash(fromLatin1("")), 5381);
  assertStrictEquals(cdbHash(fromLatin1("a")), ((5381 * 33) ^ 97) >>> 0);
  assertStrictEquals(cdbHash(fromLatin1("=.hh")), 0x7c5662b6); // from a file of tinycdb
});

test("every record is found by its key and nothing else is", () => {
  for (const count of [0, 1, 2, 255, 256, 5000]) {
    const records: [string, string][] = [];
    for (let i = 0; i < count; i++) records.push([`key ${i}`, `value ${i} `.repeat(i % 9)]);
    const bytes = build(records);
    const reader = open(bytes);
    reader.verify();
    for (const [key, value] of records) {
      assertStrictEquals(latin1(reader.find(fromLatin1(key)) ?? new Uint8Array(1)), value);
      assertStrictEquals(reader.find(fromLatin1(`${key}x`)), undefined);
    }
    assertStrictEquals(reader.find(new Uint8Array(0)), undefined);
  }
});

test("the empty key, the empty value, and the largest of both are found", () => {
  const big = "k".repeat(MAX_KEY);
  const bytes = build([["", "catch-all"], ["e", ""], [big, "v".repeat(MAX_VALUE)]]);
  open(bytes).verify();
  assertStrictEquals(find(bytes, ""), "catch-all");
  assertStrictEquals(find(bytes, "e"), "");
  assertStrictEquals(find(bytes, big)?.length, MAX_VALUE);
});

test("the first of several records with one key wins", () => {
  const bytes = build([["k", "1"], ["x", "0"], ["k", "2"], ["k", "3"]]);
  open(bytes).verify();
  assertStrictEquals(find(bytes, "k"), "1");
});

test("a look-up in a large file reads a few dozen bytes", () => {
  const records: [string, string][] = [];
  for (let i = 0; i < 20_000; i++) records.push([`${i}`, "D\0"]);
  const bytes = build(records);
  let reads = 0;
  let read = 0;
  const reader = new CdbReader((at, length) => {
    reads++;
    read += length;
    return bytes.subarray(at, at + length);
  }, bytes.length);
  reads = read = 0;
  for (let i = 0; i < 1000; i++) reader.find(fromLatin1(`${i}`));
  assert(reads / 1000 < 6 && read / 1000 < 400, `${reads} reads, ${read} bytes`);
});

test("the writer refuses what the reader would", () => {
  const writer = new CdbWriter();
  assertThrows(() => writer.add(new Uint8Array(MAX_KEY + 1), new Uint8Array(0)), RangeError);
  assertThrows(() => writer.add(new Uint8Array(0), new Uint8Array(MAX_VALUE + 1)), RangeError);
  assertStrictEquals(writer.count, 0);
});

test("a file cut at any length is refused when opened", () => {
  const bytes = build([["a", "1"], ["b", "22"], ["", "D\0"]]);
  for (let size = 0; size < bytes.length; size++) {
    assertThrows(() => open(bytes.subarray(0, size)), DecodeError, undefined, `${size}`);
  }
  assertThrows(() => open(concat([bytes, Uint8Array.of(0)])), DecodeError);
});

test("each kind of damage has its own error", () => {
  const bytes = build([["a", "1"], ["", "D\0"]]);
  const slotOf = (key: string) => 8 * (cdbHash(fromLatin1(key)) & 255);
  const view = new DataView(bytes.buffer);
  const table = view.getUint32(slotOf("a"), true);
  const occupied = view.getUint32(table + 4, true) === 0 ? table + 8 : table;
  const rows: [RegExp, number, number][] = [
    [/table position: gap or overlap/, slotOf(""), 0xffff_fff0],
    [/gap or overlap|tables end at/, slotOf("") + 4, 0xffff_ffff],
    [/gap or overlap|tables end at/, slotOf("a") + 4, 0],
    [/record: outside the record area/, occupied + 4, 0xffff_fff0],
    [/record: outside the record area/, occupied + 4, 8],
    [/slot: empty but has a hash/, occupied + 4, 0],
    [/slot: belongs to another table/, occupied, 1],
    [/key length: over/, 2048, 0xffff_ffff],
    [/value length: over/, 2052, 0xffff_ffff],
    [/record: reaches into the tables/, 2052, 4000],
    [/slot: hash is not that of the key/, 2048, 0],
  ];
  for (const [reason, at, value] of rows) {
    const e = assertThrows(() => find(patched(bytes, at, value), "a"), DecodeError, reason);
    assertMatch(e.message, /^cdb: .* at byte \d+$/);
  }
});

test("a table without an empty slot ends the look-up with an error", () => {
  // One record "a" whose table has one slot: the look-up of another key in it could loop for ever.
  const header = new Uint8Array(2048);
  const hash = cdbHash(fromLatin1("a"));
  const record = concat([Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0), fromLatin1("a1")]);
  new DataView(header.buffer).setUint32(8 * (hash & 255), 2048 + record.length, true);
  new DataView(header.buffer).setUint32(8 * (hash & 255) + 4, 1, true);
  const slot = new Uint8Array(8);
  new DataView(slot.buffer).setUint32(0, hash, true);
  new DataView(slot.buffer).setUint32(4, 2048, true);
  const bytes = concat([header, record, slot]);
  assertStrictEquals(find(bytes, "a"), "1");
  let other = "";
  for (let i = 0; (cdbHash(fromLatin1(other)) & 255) !== (hash & 255) || other === "a"; i++) {
    other = `k${i}`;
  }
  assertThrows(() => find(bytes, other), Error, /no empty slot/);
});

test("a file that shrinks while it is read is an error", () => {
  const bytes = build([["a", "1"]]);
  let left = bytes.length;
  const reader = new CdbReader(
    (at, length) => bytes.subarray(at, Math.min(at + length, left)),
    bytes.length,
  );
  left = 2050;
  assertThrows(() => reader.find(fromLatin1("a")), Error, /file shrank/);
});
