/** The log of workers: a hostile worker can write false lines, but has no other effect. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { RATE, WorkerLog } from "../../../src/privsep/monitor/worker_log.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import type { Stream } from "../../../src/runtime/runtime.ts";
import { thisRuntime } from "../../runtime/kits.ts";
import { within } from "../../runtime/tools.ts";
import { serving, settled } from "../puppet.ts";
import { rawSyscall } from "../raw_syscall.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("whole, clean lines of each worker are copied", async () => {
  const { libc, puppets: [one, two], lines, close } = await serving({ workers: 2 });
  assert(one && two);
  libc.write(one.log, bytes("one\nbegun, "));
  await settled("the line", () => lines.includes("one"));
  libc.write(two.log, bytes("two \u001b[2J\u0000\n"));
  await settled("the line", () => lines.includes("two ?[2J?"));
  libc.write(one.log, bytes("ended\n"));
  await settled("the line", () => lines.includes("begun, ended"));
  await close();
});

test("a worker's last line is copied before its end, also without a newline", async () => {
  const { libc, monitor, puppets: [worker], lines, next, close } = await serving();
  assert(worker);
  libc.write(worker.log, bytes("status\npanic: at 0x4711"));
  worker.kill();
  await worker.ended;
  await (await next()).serve();
  await settled("the line", () => lines.includes("panic: at 0x4711"));
  assertMatch(lines.join("\n"), /status\n(?:.*\n)*test: error: worker [0-9]+ ended by signal 9/);
  assert(!monitor.draining);
  await close();
});

test("a worker that closes its log is killed, and no other line is lost", async () => {
  const { libc, puppets: [worker], lines, next, close } = await serving({
    timeouts: { start: 60_000, leave: 10_000, logClosed: 20 },
  });
  assert(worker);
  const call = await rawSyscall();
  assertStrictEquals(call("shutdown", worker.log, 2), 0);
  assert(call("ftruncate", worker.log, 0) < 0);
  await within(worker.ended, "end of the worker");
  const successor = await next();
  await successor.serve();
  libc.write(successor.log, bytes("successor\n"));
  await settled("the line", () => lines.includes("successor"));
  assertMatch(
    lines.join("\n"),
    /test: error: worker [0-9]+ was ended: it closed its log: 0 programs/,
  );
  await close();
});

test("a flooding worker is read at a limited rate, and other lines are copied", async () => {
  const { libc, puppets: [hostile, honest], lines, close } = await serving({ workers: 2 });
  assert(hostile && honest);
  const chunk = bytes(`${"x".repeat(1000)}\n`.repeat(64));
  const start = performance.now();
  let written = 0;
  let heard = false;
  while (performance.now() - start < 500) { // a rate needs time: `WorkerLog` has no injected clock
    for (let i = 0; i < 100; i++) written += libc.write(hostile.log, chunk) ?? 0;
    if (!heard) libc.write(honest.log, bytes("honest\n"));
    await new Promise((resolve) => setTimeout(resolve, 1));
    heard ||= lines.includes("honest");
  }
  const seconds = (performance.now() - start) / 1000;
  assert(heard);
  // The permitted burst, the content of one read and of the socket, and the rate over time.
  assert(written > RATE && written < RATE * (1 + seconds) + (2 << 20), `${written} bytes`);
  honest.kill(); // the monitor's own line about it must appear
  await settled("the line", () => lines.some((line) => line.includes("ended by signal 9")));
  await close();
});

test("a worker's log is not read while stderr is full", async () => {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const [ours, theirs] = libc.socketpair("stream");
  for (const fd of [ours, theirs]) libc.setNonBlocking(fd, true);
  const copy = libc.dup(ours);
  const stream: Stream = await runtime.adoptSocket(ours);
  const log = { waiting: 0, text: "", copy: (text: string) => void (log.text += text) };
  const { promise: over, resolve } = Promise.withResolvers<void>();
  new WorkerLog(libc, stream, copy, log, resolve);
  log.waiting = 1 << 20;
  libc.write(theirs, bytes("1\n"));
  await settled("the first line", () => log.text === "1\n");
  libc.write(theirs, bytes("2\n"));
  // Nothing may be read, so there is no event: longer than the pause between two reads.
  await new Promise((resolve) => setTimeout(resolve, 120));
  assertStrictEquals(log.text, "1\n");
  log.waiting = 0;
  await settled("the second line", () => log.text === "1\n2\n");
  libc.close(theirs);
  await within(over, "end");
});

test("before the exit the remaining log is handed over", async () => {
  const { libc, monitor, programs, puppets: [worker], lines, close } = await serving({
    argv: ["-c", "3"],
  });
  assert(worker);
  monitor.drain();
  await worker.hear("DRAIN");
  libc.write(worker.log, bytes("before\n"));
  await monitor.leave();
  assert(lines.includes("before"));
  const [copier] = programs;
  const { command = [], descriptors = [] } = copier ?? {};
  assertEquals(command.slice(0, -1), ["/nowhere", "--as", "sslserver-log"]);
  assertStrictEquals(JSON.parse(command.at(-1) ?? "").workers, 1);
  assertStrictEquals(descriptors[2], 2);
  assertStrictEquals(descriptors.length, 4);
  await close();
});
