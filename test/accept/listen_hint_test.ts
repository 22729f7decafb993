/** The error about an address that cannot be listened on suggests one that works. */

import { assert, assertMatch, assertThrows } from "@std/assert";
import { test } from "node:test";
import { FatalError } from "../../src/errors.ts";
import { listenSocket } from "../../src/accept/listen.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const { libc } = await currentRuntime();

test("every address that cannot be listened on has a remedy", () => {
  assert(libc);
  const rows: [ip: string, interfaceName: string | undefined, hint: RegExp][] = [
    ["300.1.1.1", undefined, /^host is an address of this machine/],
    ["::zz", undefined, /^host is an address of this machine/],
    ["192.0.2.1", undefined, /^host must be an address of this machine/],
    ["fe80::1", "no-such-interface", /^-I needs the name of an interface/],
  ];
  for (const [ip, interfaceName, hint] of rows) {
    const address = { ip, port: 0, dualStack: false, interface: interfaceName, backlog: 1 };
    const error = assertThrows(() => listenSocket(libc, address, () => {}), FatalError);
    assertMatch(error.hint ?? "none", hint, ip);
  }
});
