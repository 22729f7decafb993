import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError, fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import {
  decodeRule,
  encodeRule,
  findRule,
  MAX_ITEMS,
  ruleKeys,
  ruleKind,
  type RulePeer,
  ruleWords,
} from "../../src/codec/rules.ts";

function keysOf(peer: RulePeer): string[] {
  return [...ruleKeys(peer)].map(latin1);
}

test("an IPv4 peer's keys come in the specified order", () => {
  const keys = keysOf({ ip: "10.1.2.3", host: "a.mx.example", info: "joe" });
  assertEquals(keys.slice(0, 7), [
    "joe@10.1.2.3",
    "joe@=a.mx.example",
    "10.1.2.3",
    "=a.mx.example",
    "10.1.2.",
    "10.1.",
    "10.",
  ]);
  const networks = keys.slice(7, -4);
  assertStrictEquals(networks.length, 2 * 33);
  assertEquals(networks.slice(0, 2), ["_0000e0g00000000p000000w000000056", "10.1.2.3/32"]);
  assertEquals(networks.slice(2 * 24, 2 * 24 + 2), ["_0000e0g0", "10.0.0.0/8"]);
  assertEquals(networks.slice(-2), ["_", "0.0.0.0/0"]);
  assertEquals(keys.slice(-4), ["=.mx.example", "=.example", "=", ""]);
});

test("an IPv6 peer's keys use the full form and its networks, longest first", () => {
  const keys = keysOf({ ip: "2001:db8:1::1", info: "joe" });
  const full = "2001:0DB8:0001:0000:0000:0000:0000:0001";
  assertEquals(keys.slice(0, 2), [`joe@${full}`, full]);
  assertStrictEquals(keys.length, 2 + 129 + 1);
  assert(keys.includes("^00`000000000000a0000bc0de0fgh000000000000000000i"));
  assertEquals(keys.slice(-3), ["^0", "^", ""]);
  for (let i = 3; i < 2 + 129; i++) assert(keys[i - 1]!.startsWith(keys[i]!));
});

test("an IPv4-mapped peer is looked up as IPv4", () => {
  assertEquals(keysOf({ ip: "::ffff:10.1.2.3" }), keysOf({ ip: "10.1.2.3" }));
});

test("without a host name none of the name keys is tried, with an empty one `=` is", () => {
  assert(!keysOf({ ip: "10.1.2.3" }).some((key) => key.includes("=")));
  assertEquals(keysOf({ ip: "10.1.2.3", host: "" }).filter((key) => key.includes("=")), [
    "=",
    "=",
  ]);
});

test("a peer with an invalid address or an endless name is an error", () => {
  const dots = ".".repeat(1025);
  for (
    const peer of [{ ip: "" }, { ip: "1.2.3" }, { ip: "::1", host: dots }, {
      ip: "::1",
      info: dots,
    }]
  ) {
    assertThrows(() => keysOf(peer), DecodeError);
  }
});

test("a host name has at most 127 labels, so that its look-ups are few", () => {
  assert(keysOf({ ip: "192.0.2.1", host: "a.".repeat(126) + "a" }).length < 300);
  assertThrows(
    () => keysOf({ ip: "192.0.2.1", host: "a.".repeat(127) + "a" }),
    Error,
    /127 labels/,
  );
});

test("values decode to verdict and variables, and variables after D are ignored", () => {
  const rows: [value: string, deny: boolean, env: [string, string][]][] = [
    ["", false, []],
    ["D\0", true, []],
    ["+A=x\0", false, [["A", "x"]]],
    ["+A=\0+B_2=a=b,c\0+A=again\0", false, [["A", ""], ["B_2", "a=b,c"], ["A", "again"]]],
    ["D\0+A=x\0", true, []],
    ["+A=x\0D\0", true, [["A", "x"]]],
    ["+CERTFILE:www.example=/c\0", false, [["CERTFILE:www.example", "/c"]]],
    ["+LD_PRELOAD=x\0+PATH=/bin\0", false, [["LD_PRELOAD", "x"], ["PATH", "/bin"]]],
    ["+A=\xc3\xa4\0", false, [["A", "ä"]]],
    ["+A=\xef\xbb\xbfx\0", false, [["A", "\ufeffx"]]],
  ];
  for (const [value, deny, env] of rows) {
    const rule = decodeRule(fromLatin1(value));
    assertEquals(rule, { deny, env }, value);
    if (!deny) assertStrictEquals(latin1(encodeRule(rule)), value);
  }
});

test("a value that tcprules would not write is an error and does not allow", () => {
  const values = [
    ...["D", "+A=x", "D\0+A=x", "\0", "D\0\0", "d\0", "DD\0", "Deny\0", "A=x\0", "-A\0", "+A\0"],
    ...["+=x\0", "+1A=x\0", "+A B=x\0", "+A-B=x\0", "+A:b=x\0", "+\xc3\xa4=x\0"],
    ...["+X:CERTFILE=x\0", "+CERTFILE:=x\0", "+CERTFILE:a/b=x\0", `+${"A".repeat(256)}=x\0`],
    "+A=x\0".repeat(MAX_ITEMS + 1),
  ];
  for (const value of values) {
    assertThrows(
      () => decodeRule(fromLatin1(value)),
      DecodeError,
      undefined,
      JSON.stringify(value),
    );
  }
});

test("the first key that exists decides", () => {
  const rules = new Map([["10.", "D\0"], ["10.1.2.3", "+A=1\0"], ["", "+A=2\0"]]);
  const find = (key: Uint8Array) => {
    const value = rules.get(latin1(key));
    return value === undefined ? undefined : fromLatin1(value);
  };
  assertEquals(findRule({ ip: "10.1.2.3" }, find)?.rule.env, [["A", "1"]]);
  assertStrictEquals(findRule({ ip: "10.1.2.4" }, find)?.rule.deny, true);
  assertEquals(findRule({ ip: "::1" }, find)?.key, new Uint8Array(0));
  assertStrictEquals(findRule({ ip: "::1" }, () => undefined), undefined);
});

test("the matching key is named as tcprulescheck names it", () => {
  const rows: [key: string, words: string][] = [
    ["", "rule "],
    ["10.", "rule 10."],
    ["=.example", "rule =.example"],
    ["_0000e0g0", "rule 10./8"],
    ["^00`000000000000a0000bc0de0fgh000000000000000000i", "rule 2001:db8:1::/48"],
    ["10.0.0.0/8", "rule 10.0.0.0/8"],
    ["_joe@10.1.2.3", "rule _joe@10.1.2.3"],
    ["a\x1b[2J\xff@10.1.2.3", "rule a?[2J?@10.1.2.3"],
  ];
  for (const [key, words] of rows) assertStrictEquals(ruleWords(fromLatin1(key)), words);
  assertStrictEquals(ruleWords(undefined), "default");
});

test("a key gives only the kind of its rule", () => {
  const rows: [key: string, kind: string][] = [
    ["", "any"],
    ["192.0.2.7", "address"],
    ["2001:0DB8:0000:0000:0000:0000:0000:0001", "address"],
    ["10.", "network"],
    ["10.0.0.0/8", "network"],
    ["_0000e0g0", "network"],
    ["^00`000000000000a0000bc0de0fgh000000000000000000i", "network"],
    ["=mx.example", "host"],
    ["=.example", "host"],
    ["=", "host"],
    ["joe@192.0.2.7", "info"],
    ["joe@=mx.example", "info"],
    ["_joe@10.1.2.3", "info"],
  ];
  for (const [key, kind] of rows) assertStrictEquals(ruleKind(fromLatin1(key)), kind, key);
});
