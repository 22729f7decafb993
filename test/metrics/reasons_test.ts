import { assert, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { CIPHERS, endingOf } from "../../src/metrics/reasons.ts";

test("a wait status says how a program ended", () => {
  const rows = [[0, "ok"], [256, "failed"], [255 * 256, "failed"], [9, "signal"], [15, "signal"]];
  for (const [status, wanted] of rows) assertStrictEquals(endingOf(Number(status)), wanted);
});

test("the cipher suites have OpenSSL's names, each once", () => {
  assertStrictEquals(new Set(CIPHERS).size, CIPHERS.length);
  assert(CIPHERS.includes("ECDHE-RSA-CHACHA20-POLY1305"));
});
