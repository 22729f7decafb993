import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { hex } from "../../src/codec/bytes.ts";
import { decimal, DerReader, TAG } from "../../src/codec/der.ts";
import { element, objectIdentifier, sequence, time, unsigned } from "../../src/codec/der_write.ts";

test("object identifiers read back as they were written", () => {
  const cases = "0.9.2342.19200300.100.1.25 1.2.840.113549.1.1.11 2.5.4.3 2.999.1 1.39.0 0.0 " +
    "2.25.329800735698586629295641978511506172918";
  for (const oid of cases.split(" ")) {
    assertStrictEquals(new DerReader(objectIdentifier(oid), "test").oid("id"), oid);
  }
});

test("an object identifier is encoded as in X.690 8.19.5", () => {
  assertStrictEquals(hex(objectIdentifier("2.999.3")), "0603883703");
});

test("elements of every length form read back", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const der = element(TAG.octetString, new Uint8Array(length).fill(7));
    const reader = new DerReader(der, "test");
    assertStrictEquals(reader.expect(TAG.octetString, "bytes").content.length, length);
    reader.finish("end");
  }
});

test("unsigned integers are minimal and never negative", () => {
  const cases: [number[], string][] = [
    [[0], "020100"],
    [[0, 0, 5], "020105"],
    [[0x80], "02020080"],
    [[0, 0xff, 1], "020300ff01"],
  ];
  for (const [bytes, expected] of cases) {
    assertStrictEquals(hex(unsigned(Uint8Array.from(bytes))), expected);
  }
  assertStrictEquals(decimal(Uint8Array.of(0, 0x80)), "128");
});

test("times up to 2049 are UTCTime, later ones GeneralizedTime", () => {
  const text = (ms: number) => String.fromCharCode(...time(ms).subarray(2));
  assertStrictEquals(text(Date.UTC(2049, 11, 31, 23, 59, 59)), "491231235959Z");
  assertStrictEquals(text(Date.UTC(2050, 0, 1)), "20500101000000Z");
});

test("a reader of an element stops at its end", () => {
  const outer = new DerReader(sequence(sequence(), sequence()), "test").sequence("outer");
  const inner = outer.sequence("inner");
  assert(inner.done);
  assertStrictEquals(inner.peek(), -1);
  assertThrows(() => inner.read("more"), Error, /test: more: cut short in the header at byte 4/);
  assertThrows(() => outer.finish("rest"), Error, /test: rest: 2 bytes too many at byte 4/);
});
