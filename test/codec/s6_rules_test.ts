import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { concat, DecodeError, equalBytes, fromLatin1 } from "../../src/codec/bytes.ts";
import { inNetwork, parseIp, parseNetwork } from "../../src/codec/ip.ts";
import { encodeOsText } from "../../src/codec/os_text.ts";
import {
  accessPath,
  type AccessRule,
  addressKeys,
  decodeAccessRule,
  decodeEnvFile,
  decodeExec,
  hostKeys,
  isAccessVariable,
  MAX_PART,
} from "../../src/codec/s6_rules.ts";
import { damaged, decoded, forAll, mostly, runs, textOf } from "./properties.ts";

const RUNS = runs(2_000);

const pathsOf = (ip: string): string[] => [...addressKeys(parseIp(ip))].map(accessPath);
const hostPaths = (host: string): string[] => [...hostKeys(host)].map(accessPath);

/** `A`, the variables and the command, each behind its length. */
function allow(env: string, exec = ""): Uint8Array<ArrayBuffer> {
  const part = (text: string): Uint8Array => {
    const bytes = encodeOsText(text);
    return concat([Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes]);
  };
  return concat([fromLatin1("A"), part(env), part(exec)]);
}

/** The encoding of a decoded rule. */
function encode(rule: AccessRule): Uint8Array {
  if (rule.deny) return fromLatin1("D");
  const items = rule.env.map(([name, value]) => name + (value === undefined ? "" : `=${value}`));
  return allow(items.map((item) => `${item}\0`).join(""), rule.exec);
}

test("an IPv4 address has 33 keys, from the address to all of IPv4", () => {
  const paths = pathsOf("10.1.2.3");
  assertStrictEquals(paths.length, 33);
  assertEquals(paths.slice(0, 3), [
    "ip4/10.1.2.3_32",
    "ip4/10.1.2.2_31",
    "ip4/10.1.2.0_30",
  ]);
  assertEquals(paths.slice(-3), ["ip4/0.0.0.0_2", "ip4/0.0.0.0_1", "ip4/0.0.0.0_0"]);
  assertStrictEquals(paths[24], "ip4/10.0.0.0_8");
});

test("an IPv6 address has 129 keys in canonical text", () => {
  const paths = pathsOf("2001:DB8:0:1:1:0:0:9");
  assertStrictEquals(paths.length, 129);
  assertStrictEquals(paths[0], "ip6/2001:db8:0:1:1::9_128");
  assertStrictEquals(paths[16], "ip6/2001:db8:0:1:1::_112");
  assertStrictEquals(paths[64], "ip6/2001:db8:0:1::_64");
  assertStrictEquals(paths[96], "ip6/2001:db8::_32");
  assertEquals(paths.slice(-2), ["ip6/::_1", "ip6/::_0"]);
});

test("an IPv4-mapped address is looked up as IPv4", () => {
  assertEquals(pathsOf("::ffff:10.1.2.3"), pathsOf("10.1.2.3"));
});

test("each key of an address is a network that contains it, and only the first is an address", () => {
  for (const ip of ["192.0.2.255", "2001:db8::ff00:42:8329", "fe80::1", "::1", "255.255.255.255"]) {
    const keys = [...addressKeys(parseIp(ip))];
    keys.forEach(({ name, kind }, i) => {
      assert(inNetwork(parseIp(ip), parseNetwork(name.replace("_", "/"))), name);
      assertStrictEquals(kind, i === 0 ? "address" : "network");
    });
    assertStrictEquals(new Set(keys.map(accessPath)).size, keys.length);
  }
});

test("a host name has keys for itself, its suffixes and any name", () => {
  assertEquals([...hostKeys("a.mx.example")], [
    { folder: "reversedns", name: "a.mx.example", kind: "host" },
    { folder: "reversedns", name: "mx.example", kind: "host" },
    { folder: "reversedns", name: "example", kind: "host" },
    { folder: "reversedns", name: "@", kind: "any" },
  ]);
  assertEquals(hostPaths("localhost."), ["reversedns/localhost", "reversedns/@"]);
});

test("text that is not a host name has no key", () => {
  const long = Array<string>(4).fill("a".repeat(63)).join(".");
  for (
    const host of [
      "",
      ".",
      "..",
      "a..b",
      ".a",
      "a..",
      "@",
      "../../etc",
      "a/b",
      "a\0b",
      "a b",
      "A.example",
      "a\\046b.example",
      "é.example",
      "a\n",
      "x".repeat(64),
      long,
    ]
  ) assertEquals(hostPaths(host), [], JSON.stringify(host));
  assertStrictEquals(hostPaths(long.slice(2)).length, 5);
});

const VALUES: [name: string, value: Uint8Array, rule: AccessRule | undefined][] = [
  ["deny", fromLatin1("D"), { deny: true }],
  ["deny with more behind it", fromLatin1("Dxyz"), { deny: true }],
  ["allow", allow(""), { deny: false, env: [], exec: undefined }],
  ["a variable", allow("A=1\0"), { deny: false, env: [["A", "1"]], exec: undefined }],
  ["a value with =", allow("A=b=c\0"), { deny: false, env: [["A", "b=c"]], exec: undefined }],
  ["an empty value", allow("A=\0"), { deny: false, env: [["A", ""]], exec: undefined }],
  ["a removal", allow("A\0"), { deny: false, env: [["A", undefined]], exec: undefined }],
  [
    "the last item of a name",
    allow("A=1\0B=2\0A\0"),
    { deny: false, env: [["A", undefined], ["B", "2"]], exec: undefined },
  ],
  [
    "names as files can have them",
    allow("a-b.c=x\0KEYFILE:www.example=/k\0"),
    { deny: false, env: [["a-b.c", "x"], ["KEYFILE:www.example", "/k"]], exec: undefined },
  ],
  ["a command", allow("", "echo hi\n"), { deny: false, env: [], exec: "echo hi\n" }],
  [
    "bytes that are not UTF-8",
    concat([fromLatin1("A\0\x04A=\xff\0"), fromLatin1("\0\x01\xfe")]),
    { deny: false, env: [["A", "\udcff"]], exec: "\udcfe" },
  ],
  [
    "parts of the greatest length",
    allow(`A=${"x".repeat(MAX_PART - 3)}\0`, "y".repeat(MAX_PART)),
    { deny: false, env: [["A", "x".repeat(MAX_PART - 3)]], exec: "y".repeat(MAX_PART) },
  ],
  ["another kind", fromLatin1("X"), undefined],
  ["another kind with what could be a rule", fromLatin1("a\0\0\0\0"), undefined],
  ["a NUL", fromLatin1("\0"), undefined],
];

const SMALL = VALUES.filter(([, value]) => value.length < 200);

test("values of a cdb file are decoded", () => {
  for (const [name, value, rule] of VALUES) assertEquals(decodeAccessRule(value), rule, name);
});

test("a malformed value is an error that names the field", () => {
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /kind: needs 1 bytes/],
    [allow("A=1"), /variable: not terminated at byte 0/],
    [allow("A=1\0B"), /variable: not terminated at byte 4/],
    [allow("=1\0"), /variable: bad name at byte 0/],
    [allow("\0"), /variable: bad name at byte 0/],
    [allow(`${"x".repeat(256)}=\0`), /variable: bad name/],
    [allow("", "a\0b"), /command: a NUL at byte 1/],
    [fromLatin1("A\x10\x01" + "\0".repeat(4101)), /variables: over 4096 bytes at byte 1/],
    [fromLatin1("A\0\0\x10\x01" + "x".repeat(4097)), /command: over 4096 bytes at byte 3/],
    [concat([allow(""), Uint8Array.of(0)]), /end: 1 bytes left at byte 5/],
    [
      allow(Array.from({ length: 257 }, (_, i) => `v${i}=\0`).join("")),
      /variables: more than 256/,
    ],
  ];
  for (const [value, message] of cases) {
    assertThrows(() => decodeAccessRule(value), Error, message);
    decoded(() => decodeAccessRule(value), /^s6 rules: .* at byte \d+$/);
  }
});

test("no truncation of an allowing value is a valid rule", () => {
  for (const [name, value] of SMALL) {
    if (value[0] !== 0x41) continue;
    for (let length = 0; length < value.length; length++) {
      assertThrows(() => decodeAccessRule(value.subarray(0, length)), DecodeError, undefined, name);
    }
  }
});

test("a damaged value decodes to what encodes to it, or is an error", () => {
  forAll(RUNS, damaged(SMALL.map(([, value]) => value)), (value) => {
    const rule = decoded(() => decodeAccessRule(value), /^s6 rules: .* at byte \d+$/);
    if (!rule || rule.deny) return;
    assertEquals(decodeAccessRule(encode(rule)), rule);
    const names = rule.env.map(([name]) => name);
    assertStrictEquals(new Set(names).size, names.length);
    assert(names.every(isAccessVariable));
    // Only a variable that occurs twice makes the value longer than its rule.
    assert(encode(rule).length <= value.length);
    if (encode(rule).length === value.length) assert(equalBytes(encode(rule), value));
  });
});

test("a random rule survives a round trip", () => {
  const name = textOf("Aa_-.1é", 7).map((text) => `V${text}`);
  const value = mostly(textOf("a =\n\udc80é+\\", 19), 4, fc.constant(undefined));
  const rules = fc.record({
    env: fc.array(fc.tuple(name, value), { maxLength: 5 }),
    exec: textOf("echo ${A} {}\n\udcff", 39),
  });
  forAll(RUNS, rules, ({ env, exec }) => {
    const rule: AccessRule = { deny: false, env: [...new Map(env)], exec: exec || undefined };
    assertEquals(decodeAccessRule(encode(rule)), rule);
  });
});

test("a file in env is its first line, as s6-envdir reads it", () => {
  const cases: [string, string | undefined][] = [
    ["", undefined],
    ["\n", ""],
    ["plain\n", "plain"],
    ["no newline", "no newline"],
    ["first\nsecond\n", "first"],
    ["blanks \t \r\nsecond", "blanks"],
    ["blanks  ", "blanks"],
    ["   \n", ""],
    [" in front\n", " in front"],
    ["a\0b\n", "a\nb"],
    ["a\0\n", "a\n"],
    ["\0", "\n"],
    ["\xff\n", "\udcff"],
    ["x".repeat(MAX_PART), "x".repeat(MAX_PART)],
    ["x".repeat(MAX_PART) + "\n", "x".repeat(MAX_PART)],
  ];
  for (const [file, value] of cases) {
    assertStrictEquals(decodeEnvFile(fromLatin1(file)), value, JSON.stringify(file.slice(0, 20)));
  }
  assertThrows(() => decodeEnvFile(fromLatin1("x".repeat(MAX_PART + 1))), DecodeError);
});

test("a command is what the file has, without an end of line that is not its own", () => {
  assertStrictEquals(decodeExec(fromLatin1("")), undefined);
  assertStrictEquals(decodeExec(fromLatin1("echo a\necho b\n")), "echo a\necho b\n");
  assertThrows(() => decodeExec(fromLatin1("echo\0")), DecodeError);
  assertThrows(() => decodeExec(new Uint8Array(MAX_PART + 1).fill(0x61)), DecodeError);
});
