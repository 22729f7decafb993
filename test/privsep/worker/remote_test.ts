/** The worker's side of programs and counted connections. The test acts as the monitor. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  fail,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import type { ConnectionLimits } from "../../../src/admit/limits.ts";
import { Channel, type ToWorker } from "../../../src/privsep/channel.ts";
import { FROM_MONITOR, FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import type { MessageOf, MonitorMessage, WorkerMessage } from "../../../src/privsep/messages.ts";
import { RemoteLimiter } from "../../../src/privsep/worker/remote_limiter.ts";
import { RemotePrograms } from "../../../src/privsep/worker/remote_programs.ts";
import type { ProgramRequest } from "../../../src/program/environment.ts";
import type { RunningProgram } from "../../../src/connection.ts";
import { type Slot, Slots } from "../../../src/program/slots.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { AHEAD, closeAll, programPipes } from "../../../src/runtime/program_pipes.ts";
import { thisRuntime } from "../../runtime/kits.ts";
import { within } from "../../runtime/tools.ts";
import { openFiles, settled } from "../puppet.ts";

interface Stage {
  readonly libc: Libc;
  readonly programs: RemotePrograms;
  readonly limiter: RemoteLimiter;
  /** The monitor's end. */
  readonly monitor: ToWorker;
  /** The kinds of the answers that the worker has read. */
  readonly heard: string[];
  /** The requests received so far. */
  readonly asked: WorkerMessage[];
  next<K extends WorkerMessage["kind"]>(kind: K): Promise<WorkerMessage & { kind: K }>;
}

async function play(go: (stage: Stage) => Promise<void>): Promise<void> {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const before = openFiles().length;
  const [a, b] = libc.socketpair("stream");
  const [passA, passB] = libc.socketpair("stream");
  const [mine, other] = [await runtime.adoptSocket(a), await runtime.adoptSocket(b)];
  const monitor = new Channel(libc, mine, passA, FROM_MONITOR, FROM_WORKER);
  const channel = new Channel(libc, other, passB, FROM_WORKER, FROM_MONITOR);
  const programs = new RemotePrograms(runtime, channel);
  const limiter = new RemoteLimiter(channel);
  const asked: WorkerMessage[] = [];
  const heard: string[] = [];
  monitor.take({ message: (message) => asked.push(message) });
  channel.take({
    message(message) {
      answered(programs, limiter, message);
      heard.push(message.kind);
    },
    broken() {
      programs.orphan();
      limiter.orphan();
    },
  });
  monitor.begin();
  channel.begin();
  await go({
    libc,
    programs,
    limiter,
    monitor,
    asked,
    heard,
    async next(kind) {
      await settled("a request", () => asked.length > 0);
      const message = asked.shift();
      assertStrictEquals(message?.kind, kind);
      return message as never;
    },
  });
  monitor.close();
  channel.close();
  // Bun keeps one descriptor after it has read from a pipe.
  await settled("descriptors given back", () => openFiles().length <= before + 1);
}

function answered(
  programs: RemotePrograms,
  limiter: RemoteLimiter,
  message: MonitorMessage,
): void {
  switch (message.kind) {
    case "STARTED":
      return programs.started(message);
    case "REFUSED":
      return programs.refused(message);
    case "EXITED":
      return programs.exited(message);
    case "PIPES":
      return programs.prepared(message);
    case "RUNS":
      return programs.runs(message);
    case "VERDICT":
      return limiter.verdict(message);
    default:
      fail(message.kind);
  }
}

const REQUEST: ProgramRequest = {
  delayed: false,
  variables: new Map([["PROTO", "TLS"]]),
  rules: new Map(),
  peer: { ip: "192.0.2.1" },
};
const never = new AbortController().signal;

/** A slot that the monitor has lent to the worker. */
function slot(): Slot {
  const taken = new Slots(1).takeNow();
  assert(taken);
  return taken.secureNow();
}

const SLOTS = { running: 1, full: true, wanted: false, granted: 0 };
const refused = (id: number): MonitorMessage => ({
  kind: "REFUSED",
  id,
  why: "unable to run x: no such file",
  ...SLOTS,
});
const exited = (id: number, status: number): MonitorMessage => ({
  kind: "EXITED",
  id,
  pid: 4711,
  status,
  ...SLOTS,
  running: 0,
});
const verdict = (
  id: number,
  refusal: MessageOf<"VERDICT">["refusal"] = "none",
  count = 0,
): MonitorMessage => ({ kind: "VERDICT", id, refusal, count, others: 0 });

/** Answers a START. Returns the program's ends of the pipes. */
function started({ libc, monitor }: Stage, id: number, delayed = false): number[] {
  const { mine, theirs } = programPipes(libc, delayed);
  monitor.send({ kind: "STARTED", id, pid: 4711, delayed, ...SLOTS }, mine);
  return theirs;
}

test("a requested program has streams, a process id and an exit", () =>
  play(async (stage) => {
    const { programs, monitor, libc } = stage;
    const rules = new Map([["RELAYCLIENT", ""]]);
    const peer = { ip: "192.0.2.1", host: "a.example", info: "joe" };
    const promise = programs.start({ ...REQUEST, rules, peer }, slot(), never);
    const { id, ruled, ip, host, info, variables, delayed } = await stage.next("START");
    assertEquals(
      { ruled, ip, host, info, variables, delayed },
      { ruled: true, ...peer, variables: REQUEST.variables, delayed: false },
      "what rules set is not sent: the monitor finds it in its own copy",
    );
    const [input, output] = started(stage, id) as [number, number];
    const program = await within(promise, "program");
    assertEquals([program.pid, programs.running, program.delayed], [4711, 1, undefined]);
    program.input.write(Uint8Array.of(1, 2, 3));
    await settled("its input", () => libc.poll(input, 1, 0) !== 0);
    assertEquals([...libc.read(input, 10) ?? []], [1, 2, 3]);
    const data = new Promise<Uint8Array>((resolve) => {
      program.output.take({ data: (chunk) => resolve(chunk.slice()) });
    });
    libc.write(output, Uint8Array.of(4, 5));
    program.output.resume();
    assertEquals([...await within(data, "output")], [4, 5]);
    assertStrictEquals(program.kill("SIGTERM"), true);
    assertStrictEquals((await stage.next("KILL")).signal, "SIGTERM");
    monitor.send(exited(id, 15));
    assertStrictEquals(await within(program.exited, "exit"), 15);
    assertStrictEquals(program.kill("SIGKILL"), false);
    assertStrictEquals(programs.running, 0);
    closeAll(libc, [input, output]);
    program.input.destroy();
    program.output.destroy();
  }));

test("a program for UCSPI-TLS has five descriptors", () =>
  play(async (stage) => {
    const promise = stage.programs.start({ ...REQUEST, delayed: true }, slot(), never);
    const theirs = started(stage, (await stage.next("START")).id, true);
    const { delayed, input, output } = await within(promise, "program");
    assert(delayed);
    closeAll(stage.libc, theirs);
    for (const end of Object.values(delayed)) if (typeof end === "object") end.destroy();
    input.destroy();
    output.destroy();
  }));

/** Gives the worker pipes for `count` programs ahead, as the monitor does. Returns the programs' ends, by
 *  number. */
async function prepared(stage: Stage, count: number): Promise<Map<number, number[]>> {
  stage.programs.prepare();
  await stage.next("PREPARE");
  const mine: number[] = [];
  const theirs = new Map<number, number[]>();
  for (let number = 5; number < 5 + count; number++) {
    const made = programPipes(stage.libc, false);
    mine.push(...made.mine);
    theirs.set(number, made.theirs);
  }
  stage.monitor.send({ kind: "PIPES", first: 5, count }, mine);
  await settled("PIPES", () => stage.heard.includes("PIPES"));
  return theirs;
}

/** Runs `go` with a program that was started with pipes made ahead; the worker has no more of them. */
async function ahead(
  go: (stage: Stage, one: { program: RunningProgram; id: number; fds: number[] }) => Promise<void>,
): Promise<void> {
  await play(async (stage) => {
    const ends = await prepared(stage, 1);
    const program: RunningProgram = await stage.programs.start(REQUEST, slot(), never);
    await stage.next("PREPARE"); // for the next one
    const { id, pipes } = await stage.next("RUN");
    assertStrictEquals(pipes, 5);
    assertEquals([program.pid, program.running], [0, undefined]);
    const fds = ends.get(pipes) as number[];
    await go(stage, { program, id, fds });
    closeAll(stage.libc, fds);
    program.input.destroy();
    program.output.destroy();
  });
}

test("with pipes that were made ahead, a program need not be waited for", () =>
  ahead(async (stage, { program, id, fds: [input, output] }) => {
    const { monitor, libc } = stage;
    program.input.write(Uint8Array.of(1));
    await settled("its input", () => libc.poll(input as number, 1, 0) !== 0);
    const data = new Promise<Uint8Array>((resolve) => {
      program.output.take({ data: (chunk) => resolve(chunk.slice()) });
    });
    program.output.resume();
    libc.write(output as number, Uint8Array.of(4, 5));
    assertEquals([...await within(data, "output")], [4, 5]);
    const identified = program.identified?.();
    assertStrictEquals(program.identified?.(), identified);
    assertStrictEquals((await stage.next("IDENTIFY")).id, id);
    assertEquals(stage.asked, [], "asked for once");
    monitor.send({ kind: "RUNS", id, pid: 4712 });
    await within(identified as Promise<void>, "process id");
    assertEquals([program.pid, program.identified?.()], [4712, undefined]);
    assertStrictEquals(program.kill("SIGTERM"), true);
    await stage.next("KILL");
    monitor.send(exited(id, 15));
    assertStrictEquals(await within(program.exited, "exit"), 15);
  }));

test("pipes are used in order, and more are asked for before none are left", () =>
  play(async (stage) => {
    const ends = await prepared(stage, AHEAD.low + 2);
    const used: number[] = [];
    for (let n = 0; n < 2; n++) {
      const program = await stage.programs.start(REQUEST, slot(), never);
      if (n === 1) await stage.next("PREPARE");
      used.push((await stage.next("RUN")).pipes);
      program.input.destroy();
      program.output.destroy();
    }
    assertEquals(used, [5, 6]);
    for (const fds of ends.values()) closeAll(stage.libc, fds);
    stage.programs.orphan(); // closes the rest
  }));

test("a program that has ended has its process id from EXITED", () =>
  ahead(async (stage, { program, id }) => {
    const identified = program.identified?.();
    await stage.next("IDENTIFY");
    stage.monitor.send(exited(id, 0));
    await within(identified as Promise<void>, "process id");
    assertEquals([program.pid, await program.exited], [4711, 0]);
  }));

test("a refused RUN rejects the exit, and those who wait for the process id", () =>
  ahead(async (stage, { program, id }) => {
    const identified = program.identified?.() as Promise<void>;
    await stage.next("IDENTIFY");
    stage.monitor.send(refused(id));
    await assertRejects(() => within(program.exited, "exit"), Error, /unable to run x/);
    await assertRejects(() => identified, Error, /unable to run x/);
    assertStrictEquals(program.kill("SIGKILL"), false);
  }));

test("when the monitor has gone, a program may not run, unless it had started all", async () => {
  await ahead(async ({ programs }, { program }) => {
    programs.orphan();
    assertStrictEquals(await within(program.exited, "exit"), undefined);
    await assertRejects(() => program.identified?.() as Promise<void>, Error, /has ended/);
  });
  await ahead(async ({ programs }, { program }) => {
    programs.orphan(true);
    assertStrictEquals(await within(program.exited, "exit"), undefined);
    assertStrictEquals(program.identified?.(), undefined);
  });
});

test("without pipes that were made ahead, a START is answered", () =>
  play(async (stage) => {
    await prepared(stage, 0);
    const promise = stage.programs.start(REQUEST, slot(), never);
    await stage.next("PREPARE");
    const theirs = started(stage, (await stage.next("START")).id);
    const program = await promise;
    assertStrictEquals(program.pid, 4711);
    closeAll(stage.libc, theirs);
    program.input.destroy();
    program.output.destroy();
  }));

test("a refusal has the monitor's reason", () =>
  play(async (stage) => {
    const promise = stage.programs.start(REQUEST, slot(), never);
    stage.monitor.send(refused((await stage.next("START")).id));
    await assertRejects(() => within(promise, "refusal"), Error, /unable to run x: no such file/);
    assertStrictEquals(stage.programs.waiting, 0);
  }));

test("a program that starts after its request was cancelled gets end of file", () =>
  play(async (stage) => {
    const { programs, libc } = stage;
    const control = new AbortController();
    const promise = programs.start(REQUEST, slot(), control.signal);
    const { id } = await stage.next("START");
    control.abort({ kind: "client gone", how: "closed" });
    await assertRejects(() => promise, Error, /client gone/);
    assertStrictEquals((await stage.next("CANCEL")).id, id);
    const [input, output] = started(stage, id) as [number, number];
    await settled("its input", () => libc.poll(input, 1, 0) !== 0);
    assertStrictEquals(libc.read(input, 10)?.length, 0);
    stage.monitor.send(exited(id, 0));
    closeAll(libc, [input, output]);
    // A refusal for a cancelled request is ignored, too.
    const other = new AbortController();
    const second = programs.start(REQUEST, slot(), other.signal);
    other.abort({ kind: "shut down" });
    await assertRejects(() => second, Error, /shut down/);
    stage.monitor.send(refused(id + 1));
    await settled("the refusal", () => programs.running === 1);
    assertStrictEquals(programs.waiting, 0);
  }));

test("an answered request no longer listens to its signal", () =>
  play(async (stage) => {
    const { programs, libc } = stage;
    let listeners = 0;
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (
      listeners--, remove(...args)
    );
    for (let n = 0; n < 20; n++) {
      const promise = programs.start(REQUEST, slot(), signal);
      const { id } = await stage.next("START");
      if (n % 2 === 0) {
        stage.monitor.send(refused(id));
        await assertRejects(() => promise);
        continue;
      }
      const theirs = started(stage, id);
      const program = await promise;
      program.input.destroy();
      program.output.destroy();
      closeAll(libc, theirs);
    }
    assertStrictEquals(listeners, 0);
  }));

test("a START that the monitor would refuse is not sent", () =>
  play(async ({ programs, limiter, asked, next }) => {
    const variables = new Map(Array.from({ length: 3000 }, (_, n) => [`SSL_CLIENT_${n}`, ""]));
    await assertRejects(
      () => programs.start({ ...REQUEST, variables }, slot(), never),
      Error,
      /unable to ask for a program: 3000 variables/,
    );
    assertStrictEquals(programs.waiting, 0);
    const abort = AbortSignal.abort({ kind: "shut down" });
    await assertRejects(() => programs.start(REQUEST, slot(), abort), Error, /shut down/);
    limiter.take("x".repeat(16), {});
    await next("TAKE");
    assertEquals(asked, []);
  }));

const LIMITED: ConnectionLimits = { perAddress: 3 };
const ADDRESS = "\u00fe".repeat(16);

test("without a limit no answer is needed, and with a limit the monitor decides", () =>
  play(async ({ limiter, monitor, next }) => {
    const free = limiter.take(ADDRESS, {});
    assert(!(free instanceof Promise) && "release" in free);
    assertStrictEquals(free.check({}), undefined);
    assertEquals((await next("TAKE")).address, ADDRESS);

    const allowed = limiter.take(ADDRESS, LIMITED);
    monitor.send(verdict((await next("TAKE")).id));
    const hold = await allowed;
    assert("release" in hold);
    const network = { key: "k".repeat(1000), count: 2 };
    const checked = hold.check({ network });
    const { id, limits } = await next("CHECK");
    assertMatch(limits.network.key, /^[0-9a-f]{64}$/, "a long key travels as its digest");
    monitor.send(verdict(id, "network", 2));
    assertEquals(await checked, { by: "network", count: 2 });
    hold.release();
    hold.release();
    assertStrictEquals((await next("RELEASE")).id, id);

    const denied = limiter.take(ADDRESS, LIMITED);
    const second = await next("TAKE");
    assert(second.id > id);
    monitor.send(verdict(second.id, "address", 3));
    assertEquals(await denied, { by: "address", count: 3 });
  }));

test("a request about a closed connection is answered with no", () =>
  play(async ({ limiter, asked, next }) => {
    const hold = limiter.take(ADDRESS, {});
    assert("release" in hold);
    hold.release();
    assertEquals(await hold.check(LIMITED), { by: "address", count: 0 });
    await next("TAKE");
    await next("RELEASE");
    assertEquals(asked, []);
  }));

test("without the monitor, open requests are answered and new ones refused", () =>
  play(async (stage) => {
    const { programs, limiter, monitor, libc } = stage;
    const held = limiter.take(ADDRESS, {});
    assert("release" in held);
    const running = programs.start(REQUEST, slot(), never);
    await stage.next("TAKE");
    const theirs = started(stage, (await stage.next("START")).id);
    const program = await running;
    const waiting = programs.start(REQUEST, slot(), never);
    const measured = limiter.take(ADDRESS, LIMITED);
    const checked = held.check(LIMITED);
    const rejected = assertRejects(() => waiting, Error, /the monitor has ended/);
    monitor.close();
    await within(rejected, "refusal");
    assertStrictEquals(await within(program.exited, "an end that is not known"), undefined);
    assertEquals(await measured, { by: "address", count: 0 });
    assertEquals(await checked, { by: "address", count: 0 });
    assertStrictEquals(programs.waiting, 0);
    await assertRejects(() => programs.start(REQUEST, slot(), never), Error, /no monitor/);
    assertEquals(await limiter.take(ADDRESS, LIMITED), { by: "address", count: 0 });
    assertEquals(await held.check(LIMITED), { by: "address", count: 0 });
    assertStrictEquals(program.kill("SIGKILL"), false);
    held.release();
    program.input.destroy();
    program.output.destroy();
    closeAll(libc, theirs);
  }));

test("an answer without a request breaks the channel", () =>
  play(async ({ programs, monitor }) => {
    const told = new Promise<void>((resolve) => programs.onChange(resolve));
    monitor.send(refused(99));
    await within(told, "change");
    assert(!programs.channel.open);
  }));

test("lost descriptors cost one start, and its program gets an end", async () => {
  const path = fromFileUrl(new URL("scarce_client.ts", import.meta.url));
  const run = "deno" in process.versions ? ["run", "-A", path] : ["--no-install", path];
  const command = `ulimit -n 100; exec ${[process.execPath, ...run].join(" ")}`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (data) => out += data);
  await once(child, "close");
  const lost = "unable to take the pipes of program 4711: descriptors were cut off: " +
    "too many open files";
  const lines = out.split("\n");
  assertMatch(lines.splice(5, 1)[0] ?? "", /^5 delayed: unable to take .*too many open files/);
  assertEquals(lines, [
    "50 plain: started",
    `0 plain: ${lost}`,
    `1 plain: ${lost}`,
    "50 plain: started",
    `3 delayed: ${lost}`,
    "50 delayed: started",
    "open: true",
    "",
  ]);
});
