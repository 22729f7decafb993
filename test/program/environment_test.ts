/** The environment of a program: the variables of a connection and of its interface. */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { describe } from "../../src/connection.ts";
import { connectionVariables, programEnvironment } from "../../src/program/environment.ts";
import type { Socket } from "../../src/runtime/runtime.ts";

const libc = { interfaceName: (index: number) => index === 2 ? "eth0" : undefined };
const OPTIONS = { localName: "0", tcpVariables: true, family: undefined };

/** SSLINTERFACE and TCP6INTERFACE of a client, with `-I` or without. */
function interfaces(
  ip: string,
  { scopeId, option, by }: { scopeId?: number; option?: string; by?: typeof libc },
): [string | undefined, string | undefined] {
  const address = { ip, port: 1 };
  const socket = { local: address, remote: address, scopeId, take() {} } as unknown as Socket;
  const conn = describe(socket, { localName: "0", interface: option });
  const variables = connectionVariables(conn, OPTIONS);
  const env = programEnvironment({}, { variables, delayed: false }, new Map(), by);
  return [env["SSLINTERFACE"], env["TCP6INTERFACE"]];
}

const ROWS: [string, Parameters<typeof interfaces>, string | undefined][] = [
  ["a link-local client of ::", ["fe80::7", { scopeId: 2, by: libc }], "eth0"],
  ["a client of -I", ["fe80::7", { option: "eth1" }], "eth1"],
  [
    "a link-local client whose interface has gone",
    ["fe80::7", { scopeId: 9, by: libc }],
    undefined,
  ],
  ["a link-local client without libc", ["fe80::7", { scopeId: 2 }], undefined],
  ["an IPv6 client of ::", ["2001:db8::7", { by: libc }], undefined],
  ["an IPv4 client", ["192.0.2.7", { option: "eth1", by: libc }], undefined],
];
for (const [who, asked, expected] of ROWS) {
  test(`the interface of ${who} is ${expected ?? "not set"}`, () => {
    assertEquals(interfaces(...asked), [expected, expected]);
  });
}
