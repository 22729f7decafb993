import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { type LookupResult, ResolverCache } from "../../src/dns/cache.ts";

const found = (...values: string[]): LookupResult => ({ status: "found", values });

test("an entry lasts until it expires, and a newer one replaces it", () => {
  const cache = new ResolverCache();
  cache.set("A x", found("1.1.1.1"), 100);
  assertEquals(cache.get("A x", 99), found("1.1.1.1"));
  cache.set("A x", found("2.2.2.2"), 200);
  assertEquals(cache.get("A x", 150), found("2.2.2.2"));
  assertStrictEquals(cache.get("A x", 200), undefined);
  assertStrictEquals(cache.count, 0);
  assertStrictEquals(cache.size, 0);
  assertStrictEquals(cache.get("A y", 0), undefined);
});

test("100,000 entries leave the newest 4,096", () => {
  const cache = new ResolverCache();
  for (let i = 0; i < 100_000; i++) cache.set(`A n${i}`, found("1.1.1.1"), 1e9);
  assertStrictEquals(cache.count, 4096);
  assertStrictEquals(cache.get("A n0", 0), undefined);
  assertNotStrictEquals(cache.get("A n99999", 0), undefined);
});

test("large answers stay within a million characters, the largest are not kept", () => {
  const cache = new ResolverCache();
  const answer = found(...Array(1000).fill("10.0.0.1"));
  for (let i = 0; i < 2000; i++) cache.set(`A n${i}`, answer, 1e9);
  assert(cache.size <= 1_000_000 && cache.count > 100, `${cache.count} ${cache.size}`);
  cache.set("A n1999", found(...Array(4090).fill("10.0.0.1")), 1e9);
  assertStrictEquals(cache.get("A n1999", 0), undefined, "the smaller one it replaces is gone too");
  cache.clear();
  assertStrictEquals(cache.size, 0);
  assertStrictEquals(cache.count, 0);
});
