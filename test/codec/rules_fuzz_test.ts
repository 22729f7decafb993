/** Random input through the rules codecs. FUZZ_RUNS sets the number of inputs. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import { concat, equalBytes, fromLatin1, latin1 } from "../../src/codec/bytes.ts";
import { CdbReader } from "../../src/codec/cdb.ts";
import { CdbWriter } from "../../src/codec/cdb_write.ts";
import {
  formatIp,
  formatIpFull,
  formatNetwork,
  parseIp,
  parseNetwork,
} from "../../src/codec/ip.ts";
import { decodeRule, encodeRule, findRule } from "../../src/codec/rules.ts";
import { compileRule } from "../../src/codec/rules_source.ts";
import { anyBytes, decoded, forAll, mostly, runs, textOf } from "./properties.ts";

const RUNS = runs(20_000);
const AT_BYTE = / at byte \d+$/;

const LIKE_IPV6 = fc.tuple(
  fc.array(textOf("0123aF", 4), { minLength: 3, maxLength: 9 }),
  mostly(fc.constant(""), 4, fc.constant("::1")),
).map(([groups, end]) => groups.join(":") + end);
const LIKE_IPV4 = fc.tuple(
  fc.array(fc.nat({ max: 299 }), { minLength: 3, maxLength: 5 }),
  mostly(fc.constant("."), 9, fc.constant("")),
).map(([octets, between]) => octets.join(between));

test("addresses: the parser accepts what the system accepts, and round-trips it", () => {
  let accepted = 0;
  const texts = fc.tuple(fc.oneof(LIKE_IPV6, LIKE_IPV4), fc.nat({ max: 0xffff }));
  forAll(RUNS, texts, ([text, prefix]) => {
    const ip = decoded(() => parseIp(text), AT_BYTE);
    assertStrictEquals(ip !== undefined, isIPv4(text) || isIPv6(text), text);
    if (!ip) return;
    accepted++;
    assertEquals(parseIp(formatIp(ip)), ip);
    assertEquals(parseIp(formatIpFull(ip)), ip);
    const net = parseNetwork(`${text}/${prefix % (8 * ip.length + 1)}`);
    assertEquals(parseNetwork(formatNetwork(net)), net);
  });
  assert(accepted > RUNS / 100, `${accepted} accepted`);
});

test("rule values: an accepted value encodes to the same bytes, unless D is not first", () => {
  const parts = ["D", "+A=x", "+B_1=", "\0", "\0", "+", "=", "\xff", "\xc3\xa4", "E"];
  forAll(RUNS, textOf(parts, 7), (text) => {
    const value = fromLatin1(text);
    const rule = decoded(() => decodeRule(value), AT_BYTE);
    if (rule && !rule.deny) assert(equalBytes(encodeRule(rule), value), JSON.stringify(text));
    if (rule) assertEquals(decodeRule(encodeRule({ ...rule, env: rule.env })).deny, rule.deny);
  });
});

test("rule lines: each compiled line has a value that decodes, and valid keys", () => {
  const parts = ["1.2.3.4", "10.", ":", "deny", "allow", ",", 'A="x"', "=", "@", "-", "/8", "::1"];
  parts.push("=host", " ", "#", "\0", "\xff", "255", "0-9", "B=//", "2001:db8::", "/48");
  const ends = mostly(fc.constant(":deny"), 3, fc.constant(""));
  forAll(RUNS, fc.tuple(textOf(parts, 6), ends), (line) => {
    const rule = decoded(() => compileRule(fromLatin1(line.join(""))), AT_BYTE);
    if (!rule) return;
    decodeRule(rule.value);
    assert(rule.keys.length >= 1 && rule.keys.length <= 256);
  });
});

/** A small database of rules, the same each time. */
function sample(): Uint8Array<ArrayBuffer> {
  const writer = new CdbWriter();
  const lines = [
    "10.0.0.0/8:allow",
    "=.example:deny",
    "1.2.3.4-9:deny",
    '::1:allow,A="x"',
    ":deny",
  ];
  for (const line of lines) {
    const rule = compileRule(new TextEncoder().encode(line));
    for (const key of rule?.keys ?? []) writer.add(key, rule!.value);
  }
  return concat(writer.finish());
}

test("damaged databases: each look-up ends with a value, with nothing or with a DecodeError", () => {
  const sound = sample();
  const view = new DataView(sound.buffer);
  // Mostly changes lengths and positions, by a little or a lot.
  const damage = fc.tuple(
    mostly(fc.constant(sound.length), 4, fc.nat({ max: sound.length - 1 })),
    fc.array(fc.tuple(fc.nat({ max: sound.length >> 2 }), fc.nat({ max: 5 })), {
      minLength: 1,
      maxLength: 6,
    }),
  );
  forAll(Math.ceil(RUNS / 4), damage, ([length, changes]) => {
    const bytes = sound.slice(0, length);
    for (const [word, kind] of changes) {
      const at = 4 * word;
      if (at + 4 > bytes.length) continue;
      const values = [0, 1, 0xffff_ffff, bytes.length, 2048, view.getUint32(at, true) ^ 8];
      new DataView(bytes.buffer).setUint32(at, values[kind]! >>> 0, true);
    }
    let reads = 0;
    const readAt = (at: number, length: number) => {
      assert(++reads < 10_000 && at >= 0 && at + length <= bytes.length);
      return bytes.subarray(at, at + length);
    };
    const reader = decoded(() => new CdbReader(readAt, bytes.length), AT_BYTE);
    if (!reader) return;
    decoded(() => reader.verify(), AT_BYTE);
    const look = () => findRule({ ip: "1.2.3.4", host: "a.example" }, (key) => reader.find(key));
    decoded(look, AT_BYTE);
  });
});

test("databases of random records: the first of each key is found, and the file verifies", () => {
  const record = fc.tuple(fc.uint8Array({ maxLength: 2, max: 7 }), anyBytes(19));
  forAll(Math.ceil(RUNS / 200), fc.array(record, { maxLength: 199 }), (records) => {
    const writer = new CdbWriter();
    const first = new Map<string, Uint8Array>();
    for (const [key, value] of records) {
      writer.add(key, value);
      if (!first.has(latin1(key))) first.set(latin1(key), value);
    }
    const bytes = concat(writer.finish());
    const reader = new CdbReader((at, length) => bytes.subarray(at, at + length), bytes.length);
    reader.verify();
    for (let a = 0; a < 9; a++) {
      const key = Uint8Array.from(a === 8 ? [] : [a]);
      assertEquals(reader.find(key), first.get(latin1(key)));
    }
  });
});
