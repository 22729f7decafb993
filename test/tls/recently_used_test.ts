/** Which values are evicted to make room for new ones. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { RecentlyUsed } from "../../src/tls/recently_used.ts";

test("the least recently used value is removed, and permanent ones never", () => {
  const values = new RecentlyUsed<number>(2);
  values.addLasting("own", 0);
  values.add("a", 1);
  values.add("b", 2);
  assertStrictEquals(values.get("a"), 1);
  values.add("c", 3);
  assertEquals([...values.all()], [0, 1, 3]);
  assertEquals([...values.lasting()], [0]);
  assertStrictEquals(values.get("b"), undefined);
  assertStrictEquals(values.get("own"), 0);
});
