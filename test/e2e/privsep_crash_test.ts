/** Workers that die, and a monitor that dies: which connections are lost, what is logged, and that nothing
 *  is left over. CRASH_SECONDS is how long workers are killed under load (default 8). */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { Conversation } from "../interop/supervisors.ts";
import { visit } from "./admission.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { portIsFree, talk } from "./clients.ts";
import { AHEAD } from "../../src/runtime/program_pipes.ts";
import { type Server, settled } from "./harness.ts";
import {
  alive,
  asRoot,
  childrenOf,
  compiled,
  descriptorsOf,
  gone,
  guest,
  isZombie,
  Load,
  servedBy,
  split,
  workerOf,
  workersOf,
} from "./privsep.ts";

const SECONDS = Number(process.env["CRASH_SECONDS"] ?? 8);

const tick = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens conversations until each worker has one. Returns one for each worker. */
async function oneEach(server: Server, count: number): Promise<Map<number, Conversation>> {
  const workers = await workersOf(server, count);
  const found = new Map<number, Conversation>();
  const spare: Conversation[] = [];
  for (let tries = 0; found.size < count && tries < 200; tries++) {
    const one = await Conversation.open(server.port);
    await one.echo("hello\n");
    const worker = servedBy(workers, one.socket.localPort ?? 0, server.port);
    assert(worker, "no worker has this connection");
    if (found.has(worker)) spare.push(one);
    else found.set(worker, one);
  }
  for (const one of spare) await one.end();
  assertStrictEquals(found.size, count, "a worker gets no connection");
  return found;
}

split("kill -9 of one worker of two ends its sessions alone, and it is replaced", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "2"] });
  const [[victim, lost], [other, kept]] = [...await oneEach(server, 2)] as [
    [number, Conversation],
    [number, Conversation],
  ];
  await settled(() => server.children(), ({ length }) => length === 2);
  const closed = new Promise<void>((resolve) => lost.socket.once("close", () => resolve()));
  process.kill(victim, "SIGKILL");
  await closed;
  const [line = ""] = await server.waitFor(/^sslserver: error: worker /);
  // The worker's program gets end of file, and may end before the line is written: 0 or 1 programs.
  const [before, after] = line.split(/[01] programs? (?:has|have)/);
  assertStrictEquals(before, `sslserver: error: worker ${victim} ended by signal 9: `);
  assertStrictEquals(after, " lost the client");
  const [program] = await settled(() => server.children(), ({ length }) => length === 1);
  // Do not compare the count: the successor of the worker may briefly look like another program.
  assert(program, "no program is left");
  await kept.echo("still here\n");
  const workers = await workersOf(server, 2);
  assert(workers.includes(other) && !workers.includes(victim));
  assertStrictEquals((await talk(t, server, "new\n")).text, "new\n");
  await oneEach(server, 2).then(async (found) => {
    for (const one of found.values()) await one.end();
  });
  await kept.end();
});

split(`a worker is killed each second for ${SECONDS} s: nothing is left over`, async (t) => {
  const counts = `${t.dir}/counts`;
  fs.mkdirSync(counts);
  const server = await t.start({
    options: ["-HRl0", "--workers", "2", "-c", "6"],
    env: { MAXCONIP: "5", ...environmentOf(await selfSigned(t, "localhost")) },
    program: [await compiled("privsep"), "count", counts],
  });
  await workersOf(server, 2);
  assertStrictEquals((await talk(t, server, "x\n", ["-i", "127.0.0.1"])).text, "1\nx\n");
  await server.noChildren();
  const before = descriptorsOf(server.pid).size;
  const atOnce = 12;
  const load = await Load.start(t, server.port, {
    rate: 200,
    atOnce,
    hold: 30,
    addresses: 4,
    greeted: true,
  });
  let kills = 0;
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end;) {
    await tick(1000); // the rate of the kills
    const workers = server.workers().filter(alive);
    const victim = workers[Math.floor(Math.random() * workers.length)];
    if (victim === undefined) continue; // both workers are being replaced
    process.kill(victim, "SIGKILL");
    kills++;
  }
  await load.served(50);
  const { ok, refused, denied, cut } = await load.end();
  if (process.env["CRASH_SECONDS"]) {
    console.log(`${t.form}: ${JSON.stringify({ kills, ok, refused, denied, cut })}`);
  }
  assertStrictEquals(refused, 0);
  // Only the connections that a worker had when it was killed are lost.
  assert(denied + cut <= kills * atOnce, `${denied} denied, ${cut} cut: ${load.trouble}`);
  assertStrictEquals(Number(fs.readFileSync(`${counts}/peak`, "utf8")), 6);
  // A worker may be killed before it serves; the line differs then.
  const died = /^sslserver: error: (worker \d+|unable to start a worker: it) ended by signal 9/;
  await server.waitFor(died, kills);
  const errors = server.lines(/^sslserver: error: /).filter((line) => !died.test(line));
  assertEquals(errors, []);
  await workersOf(server, 2);
  await server.noChildren();
  assertEquals(childrenOf(server.pid).filter(isZombie), []);
  // A worker may have more pipes ahead than before, but those of killed workers are closed.
  const most = before + 2 * AHEAD.descriptors;
  const left = await settled(() => descriptorsOf(server.pid), ({ size }) => size <= most);
  assert(left.size <= most, `${before} before: ${[...left].join("\n")}`);
  // All places of -c and MAXCONIP are free again, and there is none too many.
  const five = await Promise.all(Array.from({ length: 5 }, () => guest(server, "127.0.0.9")));
  assertStrictEquals((await visit(server, "127.0.0.9")).text, "");
  const sixth = await guest(server, "127.0.0.8");
  assertStrictEquals(server.children().length, 6);
  const waiting = guest(server, "127.0.0.7").then((one) => one.leave());
  five.pop()?.leave();
  await waiting;
  for (const one of [...five, sixth]) one.leave();
  await server.noChildren();
}, { timeout: 60_000 + SECONDS * 1000 });

split(
  "kill -9 of the monitor: nobody new is served, idle workers end, sessions last",
  async (t) => {
    const server = await t.start({ options: ["-HRl0", "--workers", "2"] });
    const workers = await workersOf(server, 2);
    const one = await Conversation.open(server.port);
    await one.echo("hello\n");
    const busy = servedBy(workers, one.socket.localPort ?? 0, server.port);
    const idle = workers.find((pid) => pid !== busy) ?? 0;
    server.expected = undefined;
    server.signal("SIGKILL");
    await server.exited;
    await gone(idle);
    assert(await settled(() => portIsFree(server.port), (free) => free));
    await one.echo("still here\n");
    assert(busy && alive(busy));
    await one.end();
    await gone(busy);
  },
);

asRoot("a worker that cannot start is tried again, later and later, and said so", async (t) => {
  const jail = join(t.dir, "jail");
  fs.mkdirSync(jail, { mode: 0o755 });
  const server = await t.start({
    options: ["-HRl0", "--workers", "1"],
    env: { SSL_CHROOT: jail, SSL_UID: "65534", SSL_GID: "65534" },
  });
  const worker = await workerOf(server);
  fs.rmdirSync(jail);
  process.kill(worker, "SIGKILL");
  const failure = /^sslserver: error: .*\bjail\b/;
  const start = performance.now();
  await server.waitFor(failure, 4);
  // The first restart is immediate, the next come after 0.1, 0.2 and 0.4 s.
  assert(performance.now() - start >= 700, `${performance.now() - start} ms`);
  assertStrictEquals(server.lines(/^sslserver: fatal: /).length, 0);
  fs.mkdirSync(jail, { mode: 0o755 });
  const answer = await talk(t, server, "hello\n");
  assertStrictEquals(answer.text, "hello\n");
  assert(server.lines(failure).length <= 7, server.log());
});
