import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { FatalError } from "../../src/errors.ts";
import { groupNames } from "../../src/tls/groups.ts";

test("groups are read by the names of OpenSSL and IANA, in any case, with colons or commas", () => {
  assertEquals(groupNames(undefined), undefined);
  assertEquals(groupNames(""), undefined);
  assertEquals(groupNames("X25519:P-256"), ["X25519", "P-256"]);
  assertEquals(groupNames("secp384r1, prime256v1,secp521r1"), ["P-384", "P-256", "P-521"]);
  assertEquals(groupNames("x25519mlkem768:mlkem1024"), ["X25519MLKEM768", "MLKEM1024"]);
});

for (
  const [list, why] of [
    ["X448", "no runtime supports the group X448"],
    ["X25519:", "no runtime supports the group"],
    ["X25519::P-256", "no runtime supports the group"],
    ["constructor", "no runtime supports the group constructor"],
    ["X25519:P-256:secp256r1", "P-256 is there twice"],
  ] as const
) {
  test(`CURVES=${list}: refused`, () => {
    assertThrows(() => groupNames(list), FatalError, why);
  });
}
