import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
import { readCrl } from "../../../src/codec/x509/crl.ts";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  unsigned,
} from "../../../src/codec/der_write.ts";
import { entry, list, type ListParts, richList } from "./crl_samples.ts";
import { cn, extension } from "./samples.ts";

const NULL = Uint8Array.of(5, 0);
const EMPTY = new Uint8Array();

test("a list gives its issuer, dates and serial numbers", () => {
  const crl = readCrl(list());
  assertEquals(crl.issuer, cn("authority"));
  assertStrictEquals(crl.thisUpdate.ms, Date.UTC(2026, 0, 1));
  assertStrictEquals(crl.nextUpdate.ms, Date.UTC(2026, 1, 1));
  assertEquals([...crl.revoked], ["0102", "00ff"]);
  assertStrictEquals(crl.signed.algorithm.oid, "1.2.840.10045.4.3.2");
  assertEquals(crl.signed.signature, new Uint8Array(8));
});

test("a list with harmless extensions is read", () => {
  assertEquals([...readCrl(richList()).revoked], ["0102", "00ff", "03"]);
});

test("a list may be empty, with and without the empty SEQUENCE", () => {
  assertStrictEquals(readCrl(list({ entries: EMPTY })).revoked.size, 0);
  assertStrictEquals(readCrl(list({ entries: sequence() })).revoked.size, 0);
});

test("a list of version 1 is read", () => {
  assertStrictEquals(readCrl(list({ version: EMPTY })).revoked.size, 2);
});

const critical = (oid: string) => extension(oid, sequence(), true);
const RSA = (...parameters: Uint8Array[]) =>
  sequence(objectIdentifier("1.2.840.113549.1.1.11"), ...parameters);

const REFUSED: readonly (readonly [claim: string, parts: ListParts, why: RegExp])[] = [
  ["an unknown critical extension", { extensions: [critical("1.2.3")] }, /critical 1\.2\.3 is not/],
  [
    "an unknown critical extension of an entry",
    { entries: sequence(entry([1], critical("1.2.3"))) },
    /entry extension: critical 1\.2\.3 is not/,
  ],
  ["an extension twice", { extensions: [0, 0].map(() => extension("1.2.3", NULL)) }, /twice/],
  [
    "65 extensions",
    { extensions: Array.from({ length: 65 }, (_, i) => extension(`1.2.${i}`, NULL)) },
    /above 64/,
  ],
  ["no next update", { nextUpdate: EMPTY }, /next update: missing/],
  ["version 3", { version: unsigned(Uint8Array.of(2)) }, /version: unknown/],
  [
    "extensions in version 1",
    { version: EMPTY, extensions: [extension("1.2.3", NULL)] },
    /extensions: not in version 2/,
  ],
  [
    "entry extensions in version 1",
    { version: EMPTY, entries: sequence(entry([1], extension("1.2.3", NULL))) },
    /entry extensions: not in version 2/,
  ],
  [
    "another algorithm outside",
    { outerAlgorithm: sequence(objectIdentifier("1.2.840.10045.4.3.3")) },
    /differs from the one outside/,
  ],
  [
    "other parameters outside",
    { algorithm: RSA(NULL), outerAlgorithm: RSA() },
    /differs from the one outside/,
  ],
  ["a signature of half bytes", { signature: bitString(new Uint8Array(8), 4) }, /not whole bytes/],
  ["no signature", { signature: EMPTY }, /signature: missing/],
  ["an entry that is no SEQUENCE", { entries: sequence(NULL) }, /entry: unexpected type 5/],
  [
    "an entry without a serial number",
    { entries: sequence(sequence()) },
    /entry serial: missing/,
  ],
  [
    "a serial number of 129 bytes",
    { entries: sequence(entry(Array(129).fill(1))) },
    /entry serial: integer above 128/,
  ],
  [
    "bytes after the extensions",
    { extensions: [], signature: concat([bitString(EMPTY), NULL]) },
    /after the signature/,
  ],
  ["an issuer that is no name", { issuer: element(0x0c) }, /issuer: unexpected type 12/],
];

const PARTIAL = [
  ["2.5.29.27", "delta list"],
  ["2.5.29.28", "distribution point"],
  ["2.5.29.44", "scope"],
  ["2.5.29.45", "referrals"],
  ["2.5.29.59", "groups"],
  ["2.5.29.63", "distribution point"],
] as const;
for (const [oid, kind] of PARTIAL) {
  for (const critical of [true, false]) {
    test(`a list with ${oid}, ${critical ? "" : "not "}critical, is refused as partial`, () => {
      const extensions = [extension("2.5.29.20", NULL), extension(oid, sequence(), critical)];
      const why = new RegExp(`^crl: extension: ${oid.replaceAll(".", "\\.")} marks .*${kind}`);
      assertThrows(() => readCrl(list({ extensions })), DecodeError, why);
    });
  }
}

test("an entry of another issuer's certificate makes a list partial, critical or not", () => {
  for (const critical of [true, false]) {
    const indirect = entry([2], extension("2.5.29.29", sequence(), critical));
    assertThrows(
      () => readCrl(list({ entries: sequence(entry([1]), indirect) })),
      Error,
      /entry extension: 2\.5\.29\.29 marks an entry of an indirect list/,
    );
  }
});

test("an entry with the reason removeFromCRL in a complete list counts as revoked", () => {
  const removed = extension("2.5.29.21", element(0x0a, Uint8Array.of(8)));
  assertEquals([...readCrl(list({ entries: sequence(entry([5], removed)) })).revoked], ["05"]);
});

for (const [claim, parts, why] of REFUSED) {
  test(`${claim} is refused`, () => {
    const error = assertThrows(() => readCrl(list(parts)), DecodeError, /^crl: /);
    assertMatch(error.message, why);
  });
}

test("every truncation of a list is refused", () => {
  const der = richList();
  for (let n = 0; n < der.length; n++) {
    assertThrows(() => readCrl(der.subarray(0, n)), DecodeError, undefined, `${n} bytes`);
  }
});

test("a list above 16 MiB is refused unread", () => {
  assertThrows(() => readCrl(new Uint8Array((16 << 20) + 1)), Error, /above 16777216 bytes/);
});

test("a list of 100,000 entries is read quickly", () => {
  const one = entry([1, 2, 3, 4]);
  const entries = new Uint8Array(one.length * 100_000);
  for (let i = 0; i < 100_000; i++) {
    entries.set(one, i * one.length);
    entries.set([1 + (i >> 16), i >> 8 & 255, i & 255], i * one.length + 5);
  }
  const started = process.cpuUsage();
  assertStrictEquals(readCrl(list({ entries: element(0x30, entries) })).revoked.size, 100_000);
  assert(process.cpuUsage(started).user < 3_000_000);
});
