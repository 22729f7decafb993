/** Which values are evicted to make room for new ones. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentlyUsed } from "../../src/tls/recently_used.ts";

test("the value unused longest makes room, and those that last never do", () => {
  const values = new RecentlyUsed<number>(2);
  values.addLasting("own", 0);
  values.add("a", 1);
  values.add("b", 2);
  assert.equal(values.get("a"), 1);
  values.add("c", 3);
  assert.deepEqual([...values.all()], [0, 1, 3]);
  assert.deepEqual([...values.lasting()], [0]);
  assert.equal(values.get("b"), undefined);
  assert.equal(values.get("own"), 0);
});
