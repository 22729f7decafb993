/** A connection that waits for DNS costs no thread and no process, and delays no other. A client denied
 *  by early rules costs no DNS packet. A denial starts no process. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import * as net from "node:net";
import { assertDenied, CountingDns, Guest, makeRules, ptrAnswer, visit } from "./admission.ts";
import { claim, type Server, within } from "./harness.ts";
import { reverseName } from "../../src/codec/dns/reverse.ts";

const threads = (server: Server): number => {
  const status = fs.readFileSync(`/proc/${server.speaker}/status`, "utf8");
  return Number(/^Threads:\s+([0-9]+)$/m.exec(status)?.[1]);
};

/** Asserts that connections cost no thread. The runtime may start up to four of its own meanwhile. */
function assertFew(now: number, before: number): void {
  assert(now <= before + 4, `${now} threads, ${before} before`);
}

/** Opens silent connections, each from a different address, and runs `body`. */
async function withWaiting(
  server: Server,
  count: number,
  body: () => Promise<void>,
): Promise<void> {
  const waiting = await Promise.all(Array.from({ length: count }, (_, i) => {
    const localAddress = `127.3.${i >> 8}.${i & 255}`;
    const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    return new Promise<net.Socket>((resolve) => socket.once("connect", () => resolve(socket)));
  }));
  try {
    await body();
  } finally {
    for (const socket of waiting) socket.destroy();
  }
}

const SHOW = ["sh", "-c", 'echo "${SSLREMOTEHOST-unknown}"'];

/** Answers questions about addresses in 127.0.0.0/24 at once, and others never. */
const answerSome = (query: Uint8Array, name: string): Uint8Array | undefined =>
  name.endsWith(".0.0.127.in-addr.arpa") ? ptrAnswer(query, "known.test") : undefined;

claim(
  "500 connections that wait for DNS: no thread, no process, and others are served",
  async (t) => {
    const dns = await CountingDns.start(answerSome);
    const path = await makeRules(t, "127.0.0.:allow\n");
    try {
      const server = await t.start({
        options: ["-l0", "-y", path],
        program: SHOW,
        env: { DNSCACHEIP: dns.address },
      });
      // Warms up: the runtime starts threads at its first connections.
      for (let i = 0; i < 10; i++) {
        assertStrictEquals(
          (await visit(server, "127.0.0.1")).text,
          "known.test\n",
        );
      }
      const before = threads(server);
      const memory = server.memory();
      await withWaiting(server, 500, async () => {
        await dns.names(501);
        assertFew(threads(server), before);
        assertEquals(server.children(), []);
        // Under Deno each waiting UDP socket has a buffer of 64 KB, and V8 has garbage not yet collected.
        assert(server.memory() - memory < 160, `${server.memory()} MiB, ${memory} before`);
        // While 500 wait: one client whose name is cached, and two whose names must be looked up.
        for (const from of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) {
          const began = performance.now();
          assertStrictEquals((await visit(server, from)).text, "known.test\n");
          assert(performance.now() - began < 5000, `${from}: ${performance.now() - began} ms`);
        }
        assertFew(threads(server), before);
      });
    } finally {
      dns.close();
    }
  },
  { timeout: 120_000 },
);

claim("a slow DNS server delays only its own connection, up to a limit", async (t) => {
  const dns = await CountingDns.start(answerSome);
  try {
    const server = await t.start({
      options: ["-l0", ...t.oneSpeaker],
      program: SHOW,
      env: { DNSCACHEIP: dns.address },
    });
    const slow = new Guest(server.port, "127.1.0.1");
    let over = false;
    slow.closed.then(() => over = true);
    await dns.names(1);
    for (let i = 1; i <= 10; i++) {
      assertStrictEquals((await visit(server, `127.0.0.${i}`)).text, "known.test\n");
    }
    assert(!over);
    await within(slow.closed, 40_000, "it waits for ever");
    assertStrictEquals(slow.text, "unknown\n");
    // A failed look-up is cached, so the next connection does not wait.
    const asked = dns.asked.length;
    assertStrictEquals((await visit(server, "127.1.0.1", 5000)).text, "unknown\n");
    assertStrictEquals(dns.asked.length, asked);
  } finally {
    dns.close();
  }
}, { timeout: 90_000, together: true });

claim(
  "-y denies before any DNS packet leaves; -x, which may want the name, does not",
  async (t) => {
    const dns = await CountingDns.start((query) => ptrAnswer(query, "known.test"));
    const path = await makeRules(t, "127.0.0.2:deny\n");
    try {
      const env = { DNSCACHEIP: dns.address };
      const early = await t.start({ options: ["-vhrp", "-y", path], program: SHOW, env });
      for (let i = 0; i < 50; i++) await assertDenied(early, "127.0.0.2");
      await early.waitFor(/^sslserver: deny .* :127\.0\.0\.2::[0-9]+$/, 50);
      assertStrictEquals(dns.asked.length, 0);
      await visit(early, "127.0.0.3");
      assert(dns.asked.includes(reverseName("127.0.0.3")), dns.asked.join());
      const limited = await t.start({
        options: ["-vh", "-l0"],
        program: ["sleep", "100"],
        env: { ...env, MAXCONIP: "1" },
      });
      const first = new Guest(limited.port, "127.0.0.4");
      await limited.waitFor(/^sslserver: ok /);
      const asked = dns.asked.length;
      await assertDenied(limited, "127.0.0.4");
      assertStrictEquals(dns.asked.length, asked);
      first.leave();
      limited.signal("SIGTERM");
      limited.signal("SIGTERM");
      const late = await t.start({ options: ["-vh", "-l0", "-x", path], program: SHOW, env });
      await assertDenied(late, "127.0.0.2");
      await late.waitFor(/^sslserver: deny .* known\.test:127\.0\.0\.2::[0-9]+$/);
    } finally {
      dns.close();
    }
  },
);

claim("a denied connection starts no process and no thread, and leaves nothing", async (t) => {
  const path = await makeRules(t, "127.0.0.2:deny\n");
  const server = await t.start({ options: ["-Hl0", "-x", path], program: SHOW });
  for (let i = 0; i < 3; i++) await visit(server);
  await server.noChildren();
  const [before, descriptors] = [threads(server), server.descriptors().length];
  for (let i = 0; i < 200; i++) {
    await assertDenied(server, "127.0.0.2");
    assertEquals(server.children(), []);
  }
  assertFew(threads(server), before);
  await server.descriptorsBackTo(descriptors);
});
