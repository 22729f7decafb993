import { assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError, fromLatin1, hex, latin1, Reader } from "../../../src/codec/bytes.ts";
import { canonicalName, encodeName, readDnsName } from "../../../src/codec/dns/name.ts";

const read = (bytes: Uint8Array, at = 0) => readDnsName(new Reader(bytes, "dns", at), "name");
const wire = (...labels: string[]) =>
  concat([
    ...labels.flatMap((label) => [Uint8Array.of(label.length), fromLatin1(label)]),
    Uint8Array.of(0),
  ]);

const SAMPLES: [title: string, wire: Uint8Array, text: string][] = [
  ["the root", Uint8Array.of(0), "."],
  ["one label", wire("a"), "a"],
  ["upper case", wire("Mail", "EXAMPLE", "Org"), "mail.example.org"],
  ["hyphen and underscore", wire("_sip", "a-b"), "_sip.a-b"],
  ["a dot inside a label", wire("a.b", "c"), "a\\046b.c"],
  ["a backslash", wire("a\\b"), "a\\092b"],
  ["NUL, newline and escape", wire("\0\n\x1b[2J"), "\\000\\010\\027\\0912j"],
  ["bytes above ASCII", wire("\xe4\xff"), "\\228\\255"],
  ["space, percent and colon", wire(" %:"), "\\032\\037\\058"],
  ["a label of 63", wire("x".repeat(63)), "x".repeat(63)],
  [
    "a name of 255 octets",
    wire(...Array(3).fill("x".repeat(63)), "y".repeat(61)),
    `${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(63)}.${"y".repeat(61)}`,
  ],
  ["127 labels", wire(...Array(127).fill("z")), Array(127).fill("z").join(".")],
];

for (const [title, bytes, text] of SAMPLES) {
  test(`a name with ${title} reads as printable text and encodes back`, () => {
    assertStrictEquals(read(bytes), text);
    assertStrictEquals(hex(encodeName(text)), hex(fromLatin1(lower(latin1(bytes)))));
    assertStrictEquals(canonicalName(text), text);
    assertMatch(text, /^[a-z0-9_.\\-]+$/);
    for (let end = 0; end < bytes.length; end++) {
      assertThrows(() => read(bytes.subarray(0, end)), DecodeError);
    }
  });
}

const lower = (text: string) => text.replace(/[A-Z]/g, (c) => c.toLowerCase());

test("a pointer to an earlier name is followed, and reading continues after the pointer", () => {
  const bytes = concat([wire("example", "org"), Uint8Array.of(3), fromLatin1("www\xc0\x00rest")]);
  const reader = new Reader(bytes, "dns", 13);
  assertStrictEquals(readDnsName(reader, "name"), "www.example.org");
  assertStrictEquals(latin1(reader.take(4, "rest")), "rest");
});

const BAD: [title: string, bytes: number[], at: number, message: RegExp][] = [
  ["a pointer to itself", [0xc0, 0], 0, /pointer not backwards at byte 0/],
  ["a forward pointer", [0xc0, 2, 0], 0, /pointer not backwards at byte 0/],
  ["a pointer into its own labels", [1, 0x61, 0xc0, 0], 0, /pointer not backwards at byte 2/],
  ["two pointers at each other", [0xc0, 2, 0xc0, 0], 2, /pointer not backwards at byte 0/],
  ["a pointer without its second byte", [0, 0xc0], 1, /needs 1 bytes, 0 left at byte 2/],
  ["reserved bits 01", [0x41, 0x61, 0], 0, /reserved label type at byte 0/],
  ["reserved bits 10", [0x80, 0], 0, /reserved label type at byte 0/],
  ["a label past the end", [5, 0x61], 0, /needs 5 bytes, 1 left at byte 1/],
  ["no end", [1, 0x61], 0, /needs 1 bytes, 0 left at byte 2/],
];

for (const [title, bytes, at, message] of BAD) {
  test(`a name with ${title} is refused`, () => {
    assertThrows(() => read(Uint8Array.from(bytes), at), Error, message);
  });
}

test("a name over 255 octets is refused, also when pointers make it so", () => {
  assertThrows(
    () => read(wire(...Array(4).fill("x".repeat(63)))),
    Error,
    /name over 255 octets at byte 192/,
  );
  const tail = wire(...Array(100).fill("z"));
  const bytes = concat([tail, ...Array(28).fill(Uint8Array.of(1, 0x79)), Uint8Array.of(0xc0, 0)]);
  assertThrows(() => read(bytes, tail.length), Error, /name over 255 octets/);
});

test("a chain of pointers ends at the 128th", () => {
  const chain = [Uint8Array.of(1, 0x61, 0, 0)];
  for (let i = 0; i < 200; i++) chain.push(Uint8Array.of(0xc0 | (2 + 2 * i) >> 8, 2 + 2 * i & 255));
  chain[1] = Uint8Array.of(0xc0, 0);
  const bytes = concat(chain);
  assertStrictEquals(read(bytes, 4 + 2 * 126), "a");
  assertThrows(() => read(bytes, 4 + 2 * 130), Error, /over 127 pointers/);
});

const TEXTS: [text: string, wire: string][] = [
  ["example.org.", "076578616d706c65036f726700"],
  [".", "00"],
  ["a\\046b", "03612e6200"],
  ["a\\.b", "03612e6200"],
  ["\\\\", "015c00"],
];
for (const [text, expected] of TEXTS) {
  test(`the text ${text} encodes to ${expected}`, () => {
    assertStrictEquals(hex(encodeName(text)), expected);
  });
}

const BAD_TEXTS: [text: string, message: RegExp][] = [
  ["", /empty name/],
  ["a..b", /empty label at byte 2/],
  [".a", /empty label at byte 0/],
  ["a\\256", /bad escape at byte 1/],
  ["a\\", /bad escape at byte 1/],
  ["a\\\u0100", /bad escape at byte 1/],
  ["\u0101", /outside one byte at byte 0/],
  ["x".repeat(64), /label over 63 octets/],
  [`${"x".repeat(63)}.`.repeat(4), /name over 255 octets/],
  [Array(128).fill("z").join("."), /name over 255 octets/],
  ["x".repeat(70_000), /name over 255 octets/],
];
for (const [text, message] of BAD_TEXTS) {
  test(`the text ${JSON.stringify(text.slice(0, 20))} (${text.length}) is no name`, () => {
    assertThrows(() => encodeName(text), Error, message);
  });
}
