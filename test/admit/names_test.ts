import {
  assertEquals,
  assertMatch,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { after, before, test } from "node:test";
import { hostOperand } from "../../src/accept/host.ts";
import { localName, remoteName } from "../../src/admit/names.ts";
import { encodeName } from "../../src/codec/dns/name.ts";
import { reverseName } from "../../src/codec/dns/reverse.ts";
import type { Resolver } from "../../src/dns/resolver.ts";
import { a, cname, ptr, record, TYPES } from "../codec/dns/build.ts";
import { type HostileDns, hostileDns } from "../dns/hostile_dns.ts";
import { resolverFor } from "./helpers.ts";

/** PTR records, by address. */
const PTRS: Record<string, string[]> = {
  "192.0.2.1": ["Good.Test"],
  "192.0.2.2": ["liar.test"],
  "192.0.2.3": ["first.test", "good.test"],
  "192.0.2.4": ["gone.test"],
  "192.0.2.5": ["broken.test"],
  "192.0.2.6": ["many.test"],
  "192.0.2.7": ["127.0.0.1"],
  "192.0.2.8": ["192.0.2.8"],
  "192.0.2.9": ["."],
  "192.0.2.10": ["a\\010b\\027\\000.test"],
  "192.0.2.11": [Array(4).fill("\\001".repeat(40)).join(".")],
  "192.0.2.12": ["many.test", "good.test"],
  "2001:db8::1": ["good.test"],
  "2001:db8::2": ["liar.test"],
};
const ADDRESSES: Record<string, string[]> = {
  "good.test": ["192.0.2.1", "2001:db8::1", "192.0.2.3"],
  "first.test": ["192.0.2.99"],
  "liar.test": ["192.0.2.98", "2001:db8::98"],
  "many.test": [...Array.from({ length: 200 }, (_, i) => `10.0.0.${i}`), "192.0.2.6"],
  "b.search.test": ["192.0.2.50"],
  "127.0.0.1": ["192.0.2.7"],
};

let server: HostileDns;
let resolver: Resolver;

before(async () => {
  const names = new Map(Object.entries(PTRS).map(([ip, list]) => [reverseName(ip), list]));
  server = await hostileDns((q) => {
    if (q.name === reverseName("192.0.2.13")) {
      q.answer({ answers: [cname(q.name, "13.sub.test"), ptr("13.sub.test", "good.test")] });
    } else if (q.name === "broken.test" || q.name === "soft.search.test") {
      q.answer({ flags: 0x8182 });
    } else if (q.type === TYPES.PTR && names.has(q.name)) {
      q.answer({
        answers: (names.get(q.name) ?? []).map((to) =>
          record(q.name, TYPES.PTR, to === "." ? Uint8Array.of(0) : encodeName(to))
        ),
      });
    } else if (q.name in ADDRESSES) {
      const wanted = (ADDRESSES[q.name] ?? []).filter((ip) =>
        ip.includes(":") === (q.type === TYPES.AAAA)
      );
      q.answer({ answers: wanted.map((ip) => a(q.name, ip)) });
    } else {
      q.answer({ flags: 0x8183 });
    }
  });
  resolver = resolverFor(server.address, {}, {
    env: { LOCALDOMAIN: "a.search.test b.search.test search.test" },
  });
});
after(async () => {
  resolver.close();
  await server.close();
});

const ROWS: [title: string, ip: string, plain: string | undefined, paranoid: string | undefined][] =
  [
    ["a name that its address confirms", "192.0.2.1", "good.test", "good.test"],
    ["the same through IPv4 in IPv6", "::ffff:192.0.2.1", "good.test", "good.test"],
    ["IPv6", "2001:db8::1", "good.test", "good.test"],
    ["a name that leads elsewhere", "192.0.2.2", "liar.test", undefined],
    ["the same in IPv6", "2001:db8::2", "liar.test", undefined],
    ["two names: the first counts", "192.0.2.3", "first.test", undefined],
    ["a name that does not exist", "192.0.2.4", "gone.test", undefined],
    ["a name whose servers fail", "192.0.2.5", "broken.test", undefined],
    ["a name of 201 addresses, the last one right", "192.0.2.6", "many.test", "many.test"],
    ["a name that reads as another address", "192.0.2.7", undefined, undefined],
    ["a name that reads as its own address", "192.0.2.8", undefined, undefined],
    ["the root", "192.0.2.9", undefined, undefined],
    ["control bytes, escaped", "192.0.2.10", "a\\010b\\027\\000.test", undefined],
    ["a name whose text is too long", "192.0.2.11", undefined, undefined],
    ["an alias in the reverse zone", "192.0.2.13", "good.test", undefined],
    ["no name", "192.0.2.77", undefined, undefined],
    ["no address at all", "x", undefined, undefined],
  ];
for (const [title, ip, plain, paranoid] of ROWS) {
  test(`the host of a peer with ${title}`, async () => {
    assertStrictEquals((await remoteName(ip, { paranoid: false }, resolver)).name, plain);
    assertStrictEquals((await remoteName(ip, { paranoid: true }, resolver)).name, paranoid);
    if (plain !== undefined) assertMatch(plain, /^[!-~]{1,253}$/);
  });
}

test("an abort leaves the peer without a name", async () => {
  const signal = AbortSignal.abort();
  assertStrictEquals(
    (await remoteName("192.0.2.1", { paranoid: false, signal }, resolver)).name,
    undefined,
  );
});

test("the local name is the one given, without a query, else the one of the local address", async () => {
  const asked = server.asked.length;
  assertStrictEquals((await localName("192.0.2.1", { given: "0" }, resolver)).name, "0");
  assertStrictEquals(server.asked.length, asked);
  assertStrictEquals((await localName("192.0.2.1", {}, resolver)).name, "good.test");
  assertStrictEquals((await localName("192.0.2.77", {}, resolver)).name, undefined);
});

const OPERANDS: [host: string, family: 0 | 4 | 6, addresses: string[] | RegExp][] = [
  ["good.test", 0, ["192.0.2.1", "192.0.2.3", "2001:db8::1"]],
  ["good.test", 4, ["192.0.2.1", "192.0.2.3"]],
  ["GOOD.test.", 6, ["2001:db8::1"]],
  ["b", 0, ["192.0.2.50"]],
  ["c", 0, /^unable to find address of "c": no such name$/],
  ["first.test", 6, /^unable to find address of "first\.test": no address of the required family$/],
  ["gone.test", 0, /^unable to find address of "gone\.test": no such name$/],
  ["broken.test", 0, /no dns server gave a usable answer$/],
  ["soft", 0, /no dns server gave a usable answer$/],
  ["a..b", 0, /not a host name$/],
  ["a\nb.", 0, /^unable to find address of "a\\nb\.": no such name$/],
  ["localhost", 0, ["127.0.0.1", "::1"]],
  ["localhost.", 4, ["127.0.0.1"]],
  ["192.0.2.1", 0, ["192.0.2.1"]],
  ["LOCALHOST", 6, ["::1"]],
  ["::1", 4, /no address of the required family$/],
  ["192.0.2.1", 6, /no address of the required family$/],
  ["2001:db8::1", 6, ["2001:db8::1"]],
  ["[2001:db8::1]", 0, ["2001:db8::1"]],
  ["fe80::1%eth0", 6, ["fe80::1%eth0"]],
];
for (const [host, family, expected] of OPERANDS) {
  test(`the operand ${JSON.stringify(host)} of family ${family} is resolved or refused`, async () => {
    if (expected instanceof RegExp) {
      assertObjectMatch(
        await assertRejects(() => hostOperand(host, family, resolver), Error, expected),
        { name: "FatalError", code: 111 },
      );
    } else {
      assertEquals(await hostOperand(host, family, resolver), expected);
    }
  });
}

test("a domain that makes the name too long is skipped", async () => {
  const long = `${"x".repeat(63)}.`.repeat(4);
  const own = resolverFor(server.address, {}, { env: { LOCALDOMAIN: `${long} a..b search.test` } });
  assertEquals(await hostOperand("b", 0, own), ["192.0.2.50"]);
  await assertRejects(() => hostOperand("c", 0, own), Error, /no such name$/);
  own.close();
});

test("a search list is tried in order, and a failure ends it", async () => {
  const own = resolverFor(server.address, {}, {
    env: { LOCALDOMAIN: "gone.test search.test good.test" },
  });
  assertEquals(await hostOperand("b", 0, own), ["192.0.2.50"]);
  const asked = server.asked.length;
  await assertRejects(
    () => hostOperand("soft", 4, own),
    Error,
    /no dns server gave a usable answer/,
  );
  const names = new Set(server.asked.slice(asked).map((q) => q.name));
  assertEquals([...names], ["soft.gone.test", "soft.search.test"]);
  own.close();
});
