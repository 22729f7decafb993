import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { after, before, test } from "node:test";
import { fromLatin1 } from "../../src/codec/bytes.ts";
import type { DnsQueryType } from "../../src/codec/dns/message.ts";
import { QuestionSockets } from "../../src/dns/question_sockets.ts";
import type { Resolver } from "../../src/dns/resolver.ts";
import { nodeTransport, type Transport } from "../../src/dns/transport.ts";
import { FastClock, resolverFor } from "../admit/helpers.ts";
import { a, soa } from "../codec/dns/build.ts";
import { type HostileDns, hostileDns, mischief } from "./hostile_dns.ts";

let server: HostileDns;
let silent: HostileDns;
let failing: HostileDns;
let resolver: Resolver;
const clock = new FastClock();

before(async () => {
  server = await hostileDns(mischief);
  silent = await hostileDns(() => {});
  failing = await hostileDns((q) => q.answer({ flags: 0x8182 }));
  resolver = resolverFor(server.address, { clock, limits: { deadline: 20_000 } });
});
after(async () => {
  resolver.close();
  await Promise.all([server.close(), silent.close(), failing.close()]);
});

/** A long limit, because the tests wait for timeouts and the machine may be busy. */
const SLOW = { timeout: 60_000 };

const ONE = ["192.0.2.1"];
const ROWS: [name: string, status: string, values?: string[] | number, type?: DnsQueryType][] = [
  ["plain.test", "found", ONE],
  ["PLAIN.upper.Test.", "found", ONE],
  ["plain.six.test", "found", ["2001:db8::1"], "AAAA"],
  ["two.test", "found", ["192.0.2.1", "192.0.2.2"]],
  ["missing.test", "nxdomain"],
  ["nodata.test", "nodata"],
  ["bare.test", "nodata"],
  ["servfail.test", "servfail"],
  ["refused.test", "servfail"],
  ["silent.test", "timeout"],
  ["second.test", "found", ONE],
  ["wrongid.test", "found", ONE],
  ["wrongquestion.test", "found", ONE],
  ["wrongsource.test", "found", ONE],
  ["onlyelsewhere.test", "timeout"],
  ["echo.test", "found", ONE],
  ["garbage.test", "found", ONE],
  ["damaged.test", "servfail"],
  ["damagedsoa.test", "servfail"],
  ["servfailbare.test", "servfail"],
  ["refusedbare.test", "servfail"],
  ["refusedcut.test", "servfail"],
  ["nxdomainbare.test", "timeout"],
  ["pointerloop.test", "servfail"],
  ["pointerahead.test", "servfail"],
  ["alias.test", "found", ["192.0.2.9"]],
  ["backwards.test", "found", ["192.0.2.9"]],
  ["hop.3.test", "found", ONE],
  ["hop.16.test", "found", ONE],
  ["hop.17.test", "loop"],
  ["hop.1000000.test", "loop"],
  ["self.test", "loop"],
  ["ping.test", "loop"],
  ["dangling.test", "nxdomain"],
  ["danglinghere.test", "nxdomain"],
  ["offchain.test", "timeout"],
  ["tcp.test", "found", ONE],
  ["tcpcut.test", "found", ONE],
  ["tcpalways.test", "servfail"],
  ["tcpclosed.test", "servfail"],
  ["tcpsilent.test", "timeout"],
  ["tcpforged.test", "servfail"],
  ["tcpempty.test", "servfail"],
  ["bytewise.test", "found", ["192.0.2.1", "192.0.2.2"]],
  ["tcpgarbage.test", "servfail"],
  ["big.test", "found", 256],
  ["bigudp.test", "found", 256],
  ["huge.test", "servfail"],
  ["hugeudp.test", "servfail"],
  ["costly.test", "servfail"],
  ["noednsformerr.test", "found", ONE],
  ["noednsbare.test", "found", ONE],
  ["noednsnotimp.test", "found", ONE],
  ["noednssilent.test", "found", ONE],
  ["", "badname"],
  ["a..b", "badname"],
  ["x".repeat(64), "badname"],
];

test("every kind of bad server ends as the table says", SLOW, async () => {
  const got = await Promise.all(
    ROWS.map(async ([name, , , type = "A"]) => {
      const { status, values } = await resolver.lookup(name, type);
      return [name, status, values];
    }),
  );
  const expected = ROWS.map(([name, status, values = []], i) => {
    const found = got[i]?.[2] as string[];
    const same = typeof values === "number" && found.length === values;
    return [name, status, same ? found : values];
  });
  assertEquals<unknown>(got, expected);
  assertStrictEquals(resolver.pending, 0);
  assertStrictEquals(clock.timers, 0);
});

test(
  "an answer beyond the limits is a cached failure",
  SLOW,
  async () => {
    const own = new FastClock();
    const one = resolverFor(server.address, { clock: own });
    for (const name of ["huge.once.test", "costly.once.test", "tcpgarbage.once.test"]) {
      const asked = () => server.asked.filter((q) => q.name === name && q.tcp).length;
      assertStrictEquals((await one.lookup(name, "A")).status, "servfail");
      assertStrictEquals((await one.lookup(name, "A")).status, "servfail");
      assertStrictEquals(asked(), 1, name);
      own.forward(6);
      await one.lookup(name, "A");
      assertStrictEquals(asked(), 2, name);
    }
    one.close();
  },
);

test("ids and source ports of queries differ from query to query", () => {
  const udp = server.asked.filter((q) => !q.tcp);
  assert(udp.length > 50);
  assert(new Set(udp.map((q) => q.id)).size > udp.length * 0.9);
  assert(new Set(udp.map((q) => q.port)).size > udp.length * 0.7);
});

test("a silent or failing server before a good one only costs time", SLOW, async () => {
  const many = resolverFor([silent, failing, server].map((s) => s.address).join(" "));
  assertEquals(await many.lookup("plain.test", "A"), { status: "found", values: ONE });
  assertStrictEquals((await many.lookup("missing.test", "A")).status, "nxdomain");
  many.close();
});

test(
  "with several servers a failure is a timeout if one was silent, otherwise servfail",
  SLOW,
  async () => {
    const mixed = resolverFor(`${silent.address} ${failing.address}`);
    const asked = failing.asked.length;
    assertStrictEquals((await mixed.lookup("x.test", "A")).status, "timeout");
    const edns = failing.asked.slice(asked).map((q) => q.edns);
    assertEquals(edns, [true, false], "a server that failed plainly is not asked again");
    mixed.close();
    const second = await hostileDns((q) => q.answer({ flags: 0x8185 }));
    const dead = resolverFor(`${failing.address},${second.address}`);
    assertStrictEquals((await dead.lookup("y.test", "A")).status, "servfail");
    dead.close();
    await second.close();
  },
);

test("every server is asked in every round", SLOW, async () => {
  const other = await hostileDns(() => {});
  const both = resolverFor(`${silent.address} ${other.address}`, { clock: new FastClock(20) });
  const asked = silent.asked.length;
  assertStrictEquals((await both.lookup("z.test", "A")).status, "timeout");
  assertStrictEquals(silent.asked.length - asked, 3);
  assertEquals(other.asked.map((q) => q.edns), [true, false, false]);
  both.close();
  await other.close();
});

for (const [attempts, edns] of [[1, [false]], [2, [true, false]]] as const) {
  test(`with attempts:${attempts} a server that drops EDNS0 answers the last try`, async () => {
    const old = await hostileDns((q) => q.edns ? undefined : mischief(q));
    const conf = fromLatin1(`options attempts:${attempts}`);
    const own = resolverFor(old.address, { clock: new FastClock(20) }, {
      files: { stamp: () => "1", read: () => conf },
      env: { DNSREWRITEFILE: "" },
    });
    assertEquals((await own.lookup("plain.test", "A")).values, ONE);
    assertEquals<readonly boolean[]>(old.asked.map((q) => q.edns), edns);
    own.close();
    await old.close();
  });
}

test("the same question in flight is asked once", SLOW, async () => {
  const { promise: allAsk, resolve: asked } = Promise.withResolvers<void>();
  const slow = await hostileDns((q) => void allAsk.then(() => mischief(q)));
  const one = resolverFor(slow.address);
  const lookups = Array.from(
    { length: 200 },
    (_, i) => one.lookup(i % 2 ? "plain.test" : "Plain.TEST.", "A"),
  );
  asked();
  const all = await Promise.all(lookups);
  assert(all.every(({ values }) => values[0] === "192.0.2.1"));
  assertStrictEquals(slow.asked.length, 1);
  one.close();
  await slow.close();
});

test(
  "answers are cached for their TTL within limits, also negative ones and failures",
  SLOW,
  async () => {
    const ttls: Record<string, (q: Parameters<typeof mischief>[0]) => void> = {
      minute: (q) => q.answer({ answers: [a(q.name, "192.0.2.1", 60)] }),
      zero: (q) => q.answer({ answers: [a(q.name, "192.0.2.1", 0)] }),
      year: (q) => q.answer({ answers: [a(q.name, "192.0.2.1", 31_536_000)] }),
      no: (q) => q.answer({ flags: 0x8183, authority: [soa("test", 600, 40)] }),
      noyear: (q) => q.answer({ flags: 0x8183, authority: [soa("test", 31_536_000, 31_536_000)] }),
      nosoa: (q) => q.answer({ flags: 0x8183 }),
      fail: (q) => q.answer({ flags: 0x8185 }),
    };
    const timed = await hostileDns((q) => ttls[q.name.split(".")[0] ?? ""]?.(q));
    const own = new FastClock();
    const one = resolverFor(timed.address, { clock: own });
    const rows: [name: string, holds: number, gone: number][] = [
      ["minute.test", 50, 61],
      ["zero.test", 0, 3],
      ["year.test", 80_000, 86_500],
      ["no.test", 30, 41],
      ["noyear.test", 800, 901],
      ["nosoa.test", 2, 6],
      ["fail.test", 2, 6],
    ];
    for (const [name, holds, gone] of rows) {
      const count = () => timed.asked.filter((q) => q.name === name).length;
      await one.lookup(name, "A");
      own.forward(holds);
      await one.lookup(name, "A");
      assertStrictEquals(count(), 1, `${name} is remembered after ${holds} s`);
      own.forward(gone - holds);
      await one.lookup(name, "A");
      assertStrictEquals(count(), 2, `${name} is forgotten after ${gone} s`);
    }
    one.close();
    await timed.close();
  },
);

test(
  "500 look-ups that wait on a silent server hold 256 sockets at most, and all end",
  SLOW,
  async () => {
    const own = new FastClock(10);
    let open = 0;
    let most = 0;
    const counting: Transport = {
      udp(to, packet, events) {
        most = Math.max(most, ++open);
        const close = nodeTransport.udp(to, packet, events);
        return () => {
          open--;
          close();
        };
      },
      tcp: nodeTransport.tcp,
    };
    const one = resolverFor(silent.address, { clock: own, transport: counting });
    const base = process.memoryUsage().rss;
    const began = own.now();
    const waits = Array.from({ length: 500 }, (_, i) => one.lookup(`n${i}.test`, "A"));
    assertStrictEquals(one.pending, 500);
    const all = await Promise.all(waits);
    assert(all.every(({ status }) => status === "timeout"));
    assert(own.now() - began < 45_000, "the deadline covers the wait for a turn");
    assert(most <= 256, `${most} sockets`);
    assertStrictEquals(open, 0);
    assertStrictEquals(one.pending, 0);
    assertStrictEquals(own.timers, 0);
    const grown = process.memoryUsage().rss - base;
    assert(grown < 150e6, `memory grew by ${grown} bytes`);
    one.close();
  },
);

test("look-ups beyond the limit end as busy at once", SLOW, async () => {
  const one = resolverFor(server.address, { limits: { inFlight: 2, queued: 3 } });
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, i) => one.lookup(`plain.${i}.test`, "A")),
  );
  assertEquals(all.map(({ status }) => status), [
    ...Array(5).fill("found"),
    ...Array(5).fill("busy"),
  ]);
  assertStrictEquals((await one.lookup("plain.9.test", "A")).status, "found");
  one.close();
});

test("an abort ends one caller's wait, and the last abort ends the question", SLOW, async () => {
  const own = new FastClock(20);
  const one = resolverFor(silent.address, { clock: own });
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [first, second].map((c) => one.lookup("abort.test", "A", c.signal));
  first.abort();
  assertStrictEquals((await waits[0])?.status, "aborted");
  assertStrictEquals(one.pending, 1);
  second.abort();
  assertStrictEquals((await waits[1])?.status, "aborted");
  assertStrictEquals(one.pending, 0);
  assertStrictEquals((await one.lookup("abort.test", "A", first.signal)).status, "aborted");
  // A caller that comes immediately after gets a new question, not the old "aborted".
  assertStrictEquals((await one.lookup("abort.test", "A")).status, "timeout");
  assertStrictEquals(own.timers, 0);
  one.close();
});

test("close ends every look-up at once and leaves no timer", SLOW, async () => {
  const own = new FastClock();
  const one = resolverFor(silent.address, { clock: own, limits: { inFlight: 5 } });
  const waits = Array.from({ length: 20 }, (_, i) => one.lookup(`close.${i}.test`, "A"));
  one.close();
  const all = await Promise.all(waits);
  assert(all.every(({ status }) => status === "aborted"));
  assertStrictEquals((await one.lookup("plain.test", "A")).status, "aborted");
  assertStrictEquals(own.timers, 0);
});

test("both families are asked at once, IPv4 comes first", SLOW, async () => {
  assertEquals(await resolver.addresses("plain.both.test", 0), {
    status: "found",
    values: ["192.0.2.1", "2001:db8::1"],
  });
  assertEquals((await resolver.addresses("plain.both.test", 6)).values, ["2001:db8::1"]);
  assertStrictEquals((await resolver.addresses("missing.both.test", 0)).status, "nxdomain");
  assertStrictEquals((await resolver.addresses("servfail.both.test", 0)).status, "servfail");
});

test("an unreachable server does not delay the answer", SLOW, async () => {
  const broken: Transport = {
    udp(_to, _packet, events) {
      queueMicrotask(() => events.failed(new Error("no route")));
      return () => {};
    },
    tcp: nodeTransport.tcp,
  };
  const one = resolverFor(server.address, { transport: broken });
  assertStrictEquals((await one.lookup("plain.test", "A")).status, "servfail");
  one.close();
});

test(
  "with one descriptor, each unanswered name delays the others by a second",
  SLOW,
  async () => {
    const quick = new FastClock(20);
    const sockets = new QuestionSockets(1, quick);
    const asker = resolverFor(server.address, { clock: quick, sockets });
    const asked = Array.from({ length: 5 }, (_, i) => asker.lookup(`silent.${i}.test`, "A"));
    const began = quick.now();
    assertEquals((await asker.lookup("plain.test", "A")).values, ONE);
    assert(quick.now() - began < 15_000, `${quick.now() - began} ms`);
    asker.close();
    await Promise.all(asked);
    assertStrictEquals(sockets.open + sockets.waiting, 0);
  },
);
