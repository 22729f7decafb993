/** No connection is lost when descriptors run out: accepting pauses, new clients wait in the kernel's
 *  queue, and DNS questions wait for each other. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import * as net from "node:net";
import { CountingDns, Guest, ptrAnswer } from "./admission.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { claim, ON_BUN, settled, type Trial, WITH_FFI } from "./harness.ts";
import { asRoot, descriptorsOf, workerOf } from "./privsep.ts";

const GREET = ["sh", "-c", "echo here; exec cat"];

/** Opens silent connections, each from a different address. */
function hold(port: number, count: number): net.Socket[] {
  return Array.from({ length: count }, (_, i) => {
    const localAddress = `127.4.${i >> 8}.${i & 255}`;
    return net.connect({ port, host: "127.0.0.1", localAddress }).on("error", () => {});
  });
}

claim(
  "silent clients with unanswered look-ups take no descriptor from others",
  async (t) => {
    const dns = await CountingDns.start((query, name) =>
      name === "1.0.0.127.in-addr.arpa" ? ptrAnswer(query, "known.test") : undefined
    );
    const server = await t.start({
      options: ["-l0", ...t.oneSpeaker],
      program: GREET,
      env: { DNSCACHEIP: dns.address },
      prelude: "ulimit -n 256",
    });
    const before = server.workers();
    const running = new Guest(server.port);
    await running.heard();
    const silent = hold(server.port, 300);
    try {
      await dns.names(30);
      for (let i = 0; i < 5; i++) {
        const late = new Guest(server.port);
        await late.heard();
        late.leave();
      }
      await running.echoes("still there");
      assertEquals(server.workers(), before);
    } finally {
      for (const socket of silent) socket.destroy();
      running.leave();
      dns.close();
    }
  },
  { forms: WITH_FFI, timeout: 90_000 },
);

for (const alone of [false, true]) {
  claim(
    `${
      alone ? "one process" : "a worker"
    } with 200 descriptors runs 40 programs, and the next client waits`,
    async (t) => {
      const server = await t.start({
        options: [
          "-H",
          "-R",
          "-l0",
          "-v",
          "-c",
          "100",
          ...(alone ? ["--workers", "0"] : t.oneSpeaker),
        ],
        program: GREET,
        prelude: "ulimit -n 200",
      });
      const running: Guest[] = [];
      try {
        for (let i = 0; i < 40; i++) {
          const guest = new Guest(server.port);
          running.push(guest);
          await guest.heard();
        }
        const next = Array.from({ length: 15 }, () => new Guest(server.port));
        running.push(...next);
        for (const guest of running.slice(0, 40)) await guest.echoes("still there");
        assert(next.some(({ text }) => text === ""), "all are served");
        for (const guest of running.splice(0, 20)) guest.leave();
        for (const guest of next) await guest.heard();
        assertEquals(server.lines(/error|deny/), []);
      } finally {
        for (const guest of running) guest.leave();
      }
    },
    { forms: WITH_FFI },
  );
}

claim("a limit that does not suffice for one connection is refused at the start", async (t) => {
  const limit = t.onDeno ? 30 : 16;
  const { status, stderr } = await t.fails({
    prelude: `ulimit -n ${limit}`,
    options: ["--workers", "0"],
  });
  assertStrictEquals(status, 111);
  assertMatch(stderr, new RegExp(`fatal: unable to serve: ${limit} open files are too few`));
}, { forms: WITH_FFI });

asRoot(
  "a monitor whose programs cost it descriptors runs as many as it has, and others wait",
  async (t) => {
    const server = await t.start({
      options: ["-H", "-R", "-l0", "-c", "100", "--workers", "4", "-u", "65534", "-g", "65534"],
      program: GREET,
      prelude: "ulimit -n 64",
    });
    const guests = Array.from({ length: 45 }, () => new Guest(server.port));
    try {
      const served = (): number => guests.filter(({ text }) => text !== "").length;
      await settled(served, (count) => count >= 10);
      while (guests.length > 0) {
        const guest = guests[0] as Guest;
        await guest.heard();
        guests.shift();
        guest.leave();
      }
      assertEquals(server.lines(/error/), []);
    } finally {
      for (const guest of guests) guest.leave();
    }
  },
  { forms: ON_BUN },
);

/** Limits how many more descriptors a running process can open. With "none" it can open none even after
 *  it has closed some. */
async function leave(t: Trial, pid: number, count: number | "none" | "all"): Promise<void> {
  const taken = descriptorsOf(pid);
  let limit = 3;
  for (let free = 0; typeof count === "number" && free < count; limit++) {
    if (!taken.has(limit)) free++;
  }
  const soft = count === "all" ? 1024 : limit;
  const { status, stderr } = await t.run("prlimit", ["--pid", String(pid), `--nofile=${soft}:`]);
  assertStrictEquals(status, 0, stderr);
}

asRoot("a worker without a free descriptor loses nothing but time", async (t) => {
  const pair = await selfSigned(t, "localhost");
  const server = await t.start({
    options: ["-H", "-R", "-l0", "-c", "2", "--workers", "1"],
    program: GREET,
    env: environmentOf(pair),
  });
  const worker = await workerOf(server);
  const [first, second] = [new Guest(server.port), new Guest(server.port)];
  await first.heard();
  await second.heard();
  // Accepting is paused at -c. It must resume even without a free descriptor.
  await leave(t, worker, "none");
  second.leave();
  const next = new Guest(server.port);
  const pem = fs.readFileSync(pair.certificate, "utf8");
  fs.writeFileSync(`${pair.certificate}.new`, `${pem}# changed\n`);
  fs.renameSync(`${pair.certificate}.new`, pair.certificate);
  await server.waitFor(/^sslserver: error: unable to take files, trying again: .*too many open/);
  await first.echoes("still there");
  assertStrictEquals(next.text, "");
  await leave(t, worker, "all");
  await server.waitFor(/^sslserver: info: certificate renewed/);
  await next.heard();
  await first.echoes("and still");
  assertStrictEquals(await workerOf(server), worker);
  assertStrictEquals(server.lines(/error/).length, 1);
  first.leave();
  next.leave();
});

asRoot("if a worker has no room for pipes, one connection fails, with one line", async (t) => {
  const server = await t.start({
    options: ["-v", "-H", "-R", "-l0", "--workers", "1"], // without -v, pipes are made ahead
    program: GREET,
  });
  const worker = await workerOf(server);
  const running = new Guest(server.port);
  await running.heard();
  await leave(t, worker, 2); // one for the socket, one for the first of two pipes
  const lost = new Guest(server.port);
  await lost.closed;
  assertStrictEquals(lost.text, "");
  const [line] = await server.waitFor(/^sslserver: error: /);
  assertMatch(line ?? "", /unable to take the pipes of program \d+: .*too many open files/);
  await leave(t, worker, "all");
  const next = new Guest(server.port);
  await next.heard();
  await running.echoes("still there");
  assertStrictEquals(await workerOf(server), worker);
  assertStrictEquals(server.lines(/error/).length, 1);
  next.leave();
  running.leave();
  await server.noChildren();
});

asRoot("a monitor without a free descriptor refuses one start", async (t) => {
  const server = await t.start({
    options: ["-v", "-H", "-R", "-l0", "--workers", "1"], // without -v, pipes are made ahead
    program: GREET,
  });
  const worker = await workerOf(server);
  const running = new Guest(server.port);
  await running.heard();
  await leave(t, server.pid, 1);
  await new Guest(server.port).closed;
  await server.waitFor(/^sslserver: error: .*too many open files/);
  await leave(t, server.pid, "all");
  const next = new Guest(server.port);
  await next.heard();
  await running.echoes("still there");
  assertStrictEquals(await workerOf(server), worker);
  next.leave();
  running.leave();
});
