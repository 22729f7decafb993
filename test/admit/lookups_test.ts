/** What denies a client because of its look-ups, and what only leaves a name unknown. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { type LookupOptions, type LookupServices, resolveEnds } from "../../src/admit/lookups.ts";
import { Connection } from "../../src/connection.ts";
import type { LookupResult } from "../../src/dns/cache.ts";
import { QuestionSockets } from "../../src/dns/question_sockets.ts";
import { FakeSocket } from "../fake_streams.ts";

const FAILED: LookupResult = { status: "servfail", values: [] };
const NONE: LookupResult = { status: "nxdomain", values: [] };
const found = (...values: string[]): LookupResult => ({ status: "found", values });

/** `names`: what the reverse look-up gives, by address; `addresses`: the look-up of a name. */
function services(
  options: Partial<LookupOptions>,
  names: Record<string, LookupResult>,
  addresses: LookupResult = NONE,
  hosts?: Record<string, string>,
): LookupServices {
  const never = (signal?: AbortSignal): Promise<LookupResult> =>
    new Promise((resolve) =>
      signal?.addEventListener("abort", () => resolve({ status: "aborted", values: [] }))
    );
  return {
    options: {
      ownName: true,
      remoteName: true,
      paranoid: false,
      deniesMismatch: false,
      strictResolution: false,
      lookupTimeout: undefined,
      ident: false,
      identTimeout: 1,
      ...options,
    },
    resolver: {
      names: (ip: string, signal?: AbortSignal) =>
        names[ip] ? Promise.resolve(names[ip]) : never(signal),
      lookup: () => Promise.resolve(addresses),
    } as unknown as LookupServices["resolver"],
    hosts: hosts && { nameOf: (ip) => hosts[ip] },
    sockets: new QuestionSockets(),
    asksAboutLoopback: true,
    findsOwnName: true,
  };
}

function client(): Connection {
  const socket = new FakeSocket();
  Object.assign(socket, {
    local: { ip: "192.0.2.1", port: 465 },
    remote: { ip: "192.0.2.7", port: 5000 },
  });
  return new Connection(socket, undefined, undefined);
}

const OWN = { "192.0.2.1": found("mx.test") };
const STRICT = { strictResolution: true };
const DENYING = { paranoid: true, deniesMismatch: true };

type Row = [
  what: string,
  services: LookupServices,
  denial: string | undefined,
  host: string | undefined,
];

const ROWS: Row[] = [
  ["a name", services({}, { ...OWN, "192.0.2.7": found("a.test") }), undefined, "a.test"],
  ["no name", services(STRICT, { ...OWN, "192.0.2.7": NONE }), undefined, undefined],
  ["a failure", services({}, { ...OWN, "192.0.2.7": FAILED }), undefined, undefined],
  ["a failure, strictly", services(STRICT, { ...OWN, "192.0.2.7": FAILED }), "dns", undefined],
  [
    "a failure about the own name, strictly",
    services(STRICT, { "192.0.2.1": FAILED, "192.0.2.7": found("a.test") }),
    "dns",
    "a.test",
  ],
  [
    "-p, and another address",
    services({ paranoid: true, ...STRICT }, { ...OWN, "192.0.2.7": found("a.test") }),
    undefined,
    undefined,
  ],
  [
    "-p that denies, and another address",
    services(DENYING, { ...OWN, "192.0.2.7": found("a.test") }, found("192.0.2.8")),
    "mismatch",
    undefined,
  ],
  [
    "-p that denies, and no address",
    services(DENYING, { ...OWN, "192.0.2.7": found("a.test") }, NONE),
    "mismatch",
    undefined,
  ],
  [
    "-p that denies, and its address",
    services(DENYING, { ...OWN, "192.0.2.7": found("a.test") }, found("192.0.2.7")),
    undefined,
    "a.test",
  ],
  [
    "-p that denies, and a failure",
    services(DENYING, { ...OWN, "192.0.2.7": found("a.test") }, FAILED),
    undefined,
    undefined,
  ],
  [
    "-p that denies, and no name",
    services(DENYING, { ...OWN, "192.0.2.7": NONE }),
    undefined,
    undefined,
  ],
  [
    "-p that denies, and no name, strictly",
    services({ ...DENYING, ...STRICT }, { ...OWN, "192.0.2.7": NONE }),
    "dns",
    undefined,
  ],
  [
    "a name in /etc/hosts, which -p does not check",
    services({ ...DENYING, ...STRICT }, OWN, NONE, { "192.0.2.7": "hosts.test" }),
    undefined,
    "hosts.test",
  ],
  ["no answer in time", services({ lookupTimeout: 0.05 }, OWN), "time", undefined],
  ["-H", services({ remoteName: false, ...STRICT }, OWN), undefined, undefined],
];

for (const [what, given, denial, host] of ROWS) {
  test(`look-ups: ${what}: ${denial ?? "admitted"}`, async () => {
    const conn = client();
    const result = await resolveEnds(conn, given);
    assertEquals<unknown>(result, denial && { kind: "look-up", what: denial });
    assertStrictEquals(conn.remote.host, host);
  });
}

test("without a look-up there is no local name, not even localhost", async () => {
  const conn = client();
  conn.local.ip = "127.0.0.1";
  const given = services({ ownName: false, remoteName: false }, {});
  assertStrictEquals(await resolveEnds(conn, { ...given, asksAboutLoopback: false }), undefined);
  assertStrictEquals(conn.local.host, undefined);
});

test("a client that leaves during its look-ups is not denied", async () => {
  const conn = client();
  const given = services({ lookupTimeout: 20, ...STRICT }, OWN);
  const result = resolveEnds(conn, given);
  conn.giveUp({ kind: "client gone", how: "closed" });
  assertStrictEquals(await result, undefined);
});

test("a connection without a question to ask is decided at once, and makes no signal", () => {
  const { local, remote } = client();
  const conn = {
    local,
    remote,
    get signal(): AbortSignal {
      throw new Error("signal was read");
    },
  };
  const given = services({ ownName: false }, {}, NONE, { "192.0.2.7": "hosts.test" });
  assertStrictEquals(resolveEnds(conn, given), undefined);
  assertStrictEquals(conn.remote.host, "hosts.test");
});
