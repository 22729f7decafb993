/** Random input through the rules codecs. FUZZ_RUNS sets the number of inputs. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import { concat, DecodeError, equalBytes, latin1 } from "../../src/codec/bytes.ts";
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

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);

/** mulberry32: the same numbers on every run. */
function seeded(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** The value of `call`, or undefined if it throws a DecodeError; anything else fails the test. */
function decoded<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (thrown) {
    assert(thrown instanceof DecodeError, String(thrown));
    assertMatch(thrown.message, / at byte \d+$/);
    return undefined;
  }
}

function textOf(random: (below: number) => number, alphabet: string, length: number): string {
  let text = "";
  for (let i = random(length); i > 0; i--) text += alphabet[random(alphabet.length)];
  return text;
}

test("addresses: what is accepted is what the system accepts, and survives a round trip", () => {
  const random = seeded(1);
  let accepted = 0;
  for (let i = 0; i < RUNS; i++) {
    const text = random(2)
      ? Array.from({ length: 3 + random(7) }, () => textOf(random, "0123aF", 5)).join(":") +
        (random(4) ? "" : "::1")
      : Array.from({ length: 3 + random(3) }, () => String(random(300))).join(random(9) ? "." : "");
    const ip = decoded(() => parseIp(text));
    assertStrictEquals(ip !== undefined, isIPv4(text) || isIPv6(text), text);
    if (!ip) continue;
    accepted++;
    assertEquals(parseIp(formatIp(ip)), ip);
    assertEquals(parseIp(formatIpFull(ip)), ip);
    const net = parseNetwork(`${text}/${random(8 * ip.length + 1)}`);
    assertEquals(parseNetwork(formatNetwork(net)), net);
  }
  assert(accepted > RUNS / 100, `${accepted} accepted`);
});

test("rule values: accepted ones encode to the same bytes, unless D came late", () => {
  const random = seeded(2);
  const parts = ["D", "+A=x", "+B_1=", "\0", "\0", "+", "=", "\xff", "\xc3\xa4", "E"];
  for (let i = 0; i < RUNS; i++) {
    let text = "";
    for (let n = random(8); n > 0; n--) text += parts[random(parts.length)];
    const value = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const rule = decoded(() => decodeRule(value));
    if (rule && !rule.deny) assert(equalBytes(encodeRule(rule), value), JSON.stringify(text));
    if (rule) assertEquals(decodeRule(encodeRule({ ...rule, env: rule.env })).deny, rule.deny);
  }
});

test("rule lines: whatever compiles has a value that decodes, and keys without surprises", () => {
  const random = seeded(3);
  const parts = ["1.2.3.4", "10.", ":", "deny", "allow", ",", 'A="x"', "=", "@", "-", "/8", "::1"];
  parts.push("=host", " ", "#", "\0", "\xff", "255", "0-9", "B=//", "2001:db8::", "/48");
  for (let i = 0; i < RUNS; i++) {
    let text = "";
    for (let n = random(7); n > 0; n--) text += parts[random(parts.length)];
    if (random(3)) text += ":deny";
    const line = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const rule = decoded(() => compileRule(line));
    if (!rule) continue;
    decodeRule(rule.value);
    assert(rule.keys.length >= 1 && rule.keys.length <= 256, JSON.stringify(text));
  }
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

test("damaged databases: a look-up ends, in a value, in nothing or in a DecodeError", () => {
  const random = seeded(4);
  const sound = sample();
  const view = new DataView(sound.buffer);
  for (let i = 0; i < RUNS / 4; i++) {
    const bytes = sound.slice(0, random(4) ? sound.length : random(sound.length));
    for (let n = 1 + random(6); n > 0; n--) {
      // Mostly changes lengths and positions, by a little or a lot.
      const at = 4 * random(1 + (bytes.length >> 2));
      if (at + 4 > bytes.length) continue;
      const values = [0, 1, 0xffff_ffff, bytes.length, 2048, view.getUint32(at, true) ^ 8];
      new DataView(bytes.buffer).setUint32(at, values[random(values.length)]! >>> 0, true);
    }
    let reads = 0;
    const readAt = (at: number, length: number) => {
      assert(++reads < 10_000 && at >= 0 && at + length <= bytes.length);
      return bytes.subarray(at, at + length);
    };
    const reader = decoded(() => new CdbReader(readAt, bytes.length));
    if (!reader) continue;
    decoded(() => reader.verify());
    decoded(() => findRule({ ip: "1.2.3.4", host: "a.example" }, (key) => reader.find(key)));
  }
});

test("databases of random records: the first of each key is found, and the file verifies", () => {
  const random = seeded(5);
  for (let i = 0; i < RUNS / 200; i++) {
    const writer = new CdbWriter();
    const first = new Map<string, Uint8Array>();
    for (let n = random(200); n > 0; n--) {
      const key = Uint8Array.from({ length: random(3) }, () => random(8));
      const value = Uint8Array.from({ length: random(20) }, () => random(256));
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
  }
});
