/** What a host's name may lead to. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkNamed } from "../src/listen.ts";

for (const ip of ["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1", "fe80::1", "223.255.255.255"]) {
  test(`a name may lead to ${ip}`, () => checkNamed("host.example", ip));
}

for (const ip of ["0.0.0.0", "::", "::ffff:0.0.0.0"]) {
  test(`a name may not lead to ${ip}, every address`, () => {
    assert.throws(() => checkNamed("host.example", ip), {
      message:
        `unable to listen on "host.example": the name leads to ${ip}, which means every address`,
      hint: "give host as an address of this machine; 0 or :: mean all of them",
    });
  });
}

for (const ip of ["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "::ffff:224.0.0.1"]) {
  test(`a name may not lead to ${ip}, an address of no one host`, () => {
    assert.throws(() => checkNamed("host.example", ip), /no address of one host$/);
  });
}
