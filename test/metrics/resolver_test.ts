import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { nodeTransport, type Transport } from "../../src/dns/transport.ts";
import { RCODE } from "../../src/codec/dns/message.ts";
import { ServerMetrics } from "../../src/metrics/server.ts";
import { resolverFor } from "../admit/helpers.ts";

/** The samples of `sslserver_resolver_queries_total` that are not 0. */
const counts = (metrics: ServerMetrics): Record<string, number> =>
  Object.fromEntries(
    metrics.lookups.samples().filter(({ value }) => value > 0)
      .map(({ labels, value }) => [labels[0]?.[1], value]),
  );

/** A transport whose server answers every question with `rcode`. */
const answering = (rcode: number): Transport => ({
  ...nodeTransport,
  udp(to, packet, events) {
    const answer = packet.slice();
    answer[2] = 0x81; // QR, RD
    answer[3] = 0x80 | rcode; // RA
    queueMicrotask(() => events.packet(answer, to));
    return () => {};
  },
});

const failing: Transport = {
  ...nodeTransport,
  udp(_to, _packet, events) {
    queueMicrotask(() => events.failed(new Error("no route")));
    return () => {};
  },
};

test("a question counts once, with any number of callers or answers from the cache", async () => {
  const metrics = new ServerMetrics();
  const one = resolverFor("192.0.2.1", {
    transport: answering(RCODE.nxDomain),
    onAnswer: (status) => metrics.asked(status),
  });
  const both = await Promise.all([one.lookup("a.test", "A"), one.lookup("a.test", "A")]);
  assertEquals(both.map(({ status }) => status), ["nxdomain", "nxdomain"]);
  await one.lookup("a.test", "A");
  assertEquals(counts(metrics), { nxdomain: 1 });
  await one.lookup("b.test", "AAAA");
  assertEquals(counts(metrics), { nxdomain: 2 });
  one.close();
});

test("failed, aborted and rejected questions count by their outcome", async () => {
  const metrics = new ServerMetrics();
  const onAnswer = (status: string): void => metrics.asked(status);
  const failed = resolverFor("192.0.2.1", { transport: failing, onAnswer });
  assertStrictEquals((await failed.lookup("a.test", "A")).status, "servfail");
  failed.close();
  const silent: Transport = { ...nodeTransport, udp: () => () => {} };
  const crowded = resolverFor("192.0.2.1", {
    transport: silent,
    onAnswer,
    limits: { inFlight: 1, queued: 1 },
  });
  const first = crowded.lookup("a.test", "A");
  const second = crowded.lookup("b.test", "A");
  assertStrictEquals((await crowded.lookup("c.test", "A")).status, "busy");
  crowded.close();
  await Promise.all([first, second]);
  assertEquals(counts(metrics), { servfail: 1, busy: 1, aborted: 2 });
});
