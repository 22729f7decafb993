import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { decodeOsText, encodeOsText } from "../../src/codec/os_text.ts";
import { anyBytes, forAll } from "./properties.ts";

const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all);

test("bytes that are not UTF-8 become surrogates", () => {
  for (
    const [from, text] of [
      [bytes(), ""],
      [bytes(0x61, 0xc3, 0xb6, 0xf0, 0x9f, 0x98, 0x80), "aö😀"],
      [bytes(0xef, 0xbb, 0xbf, 0x61), "\ufeffa"],
      [bytes(0x4a, 0xf6, 0x72), "J\udcf6r"],
      [bytes(0xc3), "\udcc3"],
      [bytes(0xe2, 0x82), "\udce2\udc82"],
      [bytes(0xe2, 0x82, 0x41), "\udce2\udc82A"],
      [bytes(0xff, 0xc3, 0xb6), "\udcffö"],
      [bytes(0xc0, 0x80), "\udcc0\udc80"], // RFC 3629 3: overlong
      [bytes(0xed, 0xb2, 0x80), "\udced\udcb2\udc80"], // a surrogate
      [bytes(0xf4, 0x90, 0x80, 0x80), "\udcf4\udc90\udc80\udc80"], // above U+10FFFF
    ] as const
  ) {
    assertStrictEquals(decodeOsText(from), text);
    assertEquals(encodeOsText(text), from);
  }
});

test("a surrogate that encodes no byte becomes U+FFFD", () => {
  assertEquals(encodeOsText("a\ud800\udc00\udfff"), encodeOsText("a\u{10000}\ufffd"));
  assertEquals(encodeOsText("\udc7f"), bytes(0xef, 0xbf, 0xbd));
});

test("all bytes round-trip, wherever the input is cut", () => {
  const ascii = fc.uint8Array({ maxLength: 12, max: 127 });
  forAll(2000, fc.oneof(ascii, anyBytes(12)), (from) => {
    assertEquals(encodeOsText(decodeOsText(from)), from);
  });
  const text = new TextEncoder().encode("aö€😀");
  for (let end = 0; end <= text.length; end++) {
    const part = text.slice(0, end);
    assertEquals(encodeOsText(decodeOsText(part)), part);
  }
});
