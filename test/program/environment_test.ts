/** The environment of a program: the variables of a connection and of its interface. */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { describe } from "../../src/connection.ts";
import { connectionVariables, programEnvironment } from "../../src/program/environment.ts";
import type { Socket } from "../../src/runtime/runtime.ts";

const libc = { interfaceName: (index: number) => index === 2 ? "eth0" : undefined };
const OPTIONS = {
  localName: "0",
  tcpVariables: true,
  family: undefined,
  variables: "ucspi",
} as const;

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

test("--variables s6: s6's names and no others", () => {
  const conn = describe({
    local: { ip: "192.0.2.1", port: 465 },
    remote: { ip: "2001:db8::7", port: 5000 },
    take() {},
  } as unknown as Socket, { localName: "mx.test", interface: undefined });
  const options = { tcpVariables: true, family: 6, variables: "s6" } as const;
  const ends = {
    PROTO: "TCP",
    TCPLOCALIP: "192.0.2.1",
    TCPLOCALPORT: "465",
    TCPLOCALHOST: "mx.test",
    TCPREMOTEIP: "2001:db8::7",
    TCPREMOTEPORT: "5000",
  };
  assertEquals(Object.fromEntries(connectionVariables(conn, options)), ends);
  conn.reservation = { others: 3, release() {} };
  Object.assign(conn.remote, { host: "a.test", info: "joe" });
  const tls = new Map([["SSL_PROTOCOL", "TLSv1.3"]] as const);
  assertEquals(Object.fromEntries(connectionVariables(conn, options, tls)), {
    ...ends,
    TCPREMOTEHOST: "a.test",
    TCPREMOTEINFO: "joe",
    TCPCONNNUM: "3",
    SSL_PROTOCOL: "TLSv1.3",
  });
});

test("a rule removes variables of the server and of the connection, but no descriptor", () => {
  const base = { PATH: "/bin", HOME: "/root", CERTFILE: "/c" };
  const variables = new Map([["SSLREMOTEIP", "192.0.2.1"], ["PROTO", "TLS"]]);
  const rules = new Map<string, string | undefined>([
    ["HOME", undefined],
    ["SSLREMOTEIP", undefined],
    ["NONE", undefined],
    ["SSLCTLFD", undefined],
    ["A", "1"],
    ["KEYFILE", "/key"],
  ]);
  const of = (delayed: boolean): Record<string, string> => ({
    ...programEnvironment(base, { variables, delayed }, rules, undefined),
  });
  assertEquals(of(false), { PATH: "/bin", CERTFILE: "/c", PROTO: "TLS", A: "1" });
  assert("SSLCTLFD" in of(true));
});
