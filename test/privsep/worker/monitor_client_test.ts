/** The worker's side, with the test in the monitor's place. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Ask } from "../../../src/admit/limits.ts";
import { concat, Reader } from "../../../src/codec/bytes.ts";
import { Channel } from "../../../src/privsep/channel.ts";
import { Frame, Frames, KIND } from "../../../src/privsep/frame.ts";
import { type WorkerMessage, workerMessage } from "../../../src/privsep/messages.ts";
import { MonitorClient } from "../../../src/privsep/worker/monitor_client.ts";
import type { ProgramRequest } from "../../../src/program/environment.ts";
import { type Place, Places } from "../../../src/program/slots.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { closeAll, programPipes } from "../../../src/runtime/program_pipes.ts";
import { thisRuntime } from "../../runtime/kits.ts";
import { within } from "../../runtime/tools.ts";
import { openFiles, settled } from "../puppet.ts";

interface Stage {
  readonly libc: Libc;
  readonly client: MonitorClient;
  /** The monitor's end. */
  readonly monitor: Channel;
  /** What the client has asked for. */
  readonly asked: WorkerMessage[];
  next<K extends WorkerMessage["kind"]>(kind: K): Promise<WorkerMessage & { kind: K }>;
}

async function play(go: (stage: Stage) => Promise<void>): Promise<void> {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const before = openFiles().length;
  const [a, b] = libc.socketpair("stream");
  const [passA, passB] = libc.socketpair("stream");
  const monitor = new Channel(libc, await runtime.adoptSocket(a), passA, "worker");
  const channel = new Channel(libc, await runtime.adoptSocket(b), passB, "monitor");
  const client = new MonitorClient(runtime, channel);
  const asked: WorkerMessage[] = [];
  monitor.onFrame = (kind, body) => void asked.push(workerMessage(kind, body));
  channel.onFrame = (kind, body) => assert.ok(client.receive(kind, body));
  channel.onBroken = () => client.orphan();
  monitor.begin();
  channel.begin();
  await go({
    libc,
    client,
    monitor,
    asked,
    async next(kind) {
      await settled("a request", () => asked.length > 0);
      const message = asked.shift();
      assert.equal(message?.kind, kind);
      return message as never;
    },
  });
  monitor.close();
  channel.close();
  // Bun keeps one of its own once it has read from a pipe.
  await settled("descriptors given back", () => openFiles().length <= before + 1);
}

const REQUEST: ProgramRequest = {
  delayed: false,
  variables: new Map([["PROTO", "TLS"]]),
  rules: new Map(),
  peer: { ip: "192.0.2.1" },
};
const never = new AbortController().signal;

/** One that the monitor has lent. */
function place(): Place {
  const taken = new Places(1).takeNow();
  assert.ok(taken);
  return taken.hold();
}

const counted = (frame: Frame, running = 1, granted = 0, wanted = false): Uint8Array =>
  frame.u32(running).u8(1).u8(+wanted).u32(granted).done();
const refused = (id: number): Uint8Array =>
  counted(new Frame(KIND.REFUSED).id(id).text("unable to run x: no such file"));
const exited = (id: number, status: number): Uint8Array =>
  counted(new Frame(KIND.EXITED).id(id).u32(status), 0);
const verdict = (id: number, by = 0, count = 0): Uint8Array =>
  new Frame(KIND.VERDICT).id(id).u8(by).u32(count).done();

/** Answers a START; the program's ends stay here. */
function started({ libc, monitor }: Stage, id: number, delayed = false): number[] {
  const { mine, theirs } = programPipes(libc, delayed);
  const frame = new Frame(KIND.STARTED).id(id).u32(4711).u8(+delayed);
  monitor.send(counted(frame), mine);
  return theirs;
}

test("a program that is asked for comes with its streams, its number and its end", () =>
  play(async (stage) => {
    const { client, monitor, libc } = stage;
    const rules = new Map([["RELAYCLIENT", ""]]);
    const peer = { ip: "192.0.2.1", host: "a.example", info: "joe" };
    const promise = client.start({ ...REQUEST, rules, peer }, place(), never);
    const { id, ruled, ip, host, info, variables, delayed } = await stage.next(KIND.START);
    assert.deepEqual(
      { ruled, ip, host, info, variables, delayed },
      { ruled: true, ...peer, variables: REQUEST.variables, delayed: false },
      "what rules set is not sent: the monitor finds it in its own copy",
    );
    const [input, output] = started(stage, id) as [number, number];
    const program = await within(promise, "program");
    assert.deepEqual([program.pid, client.running, program.delayed], [4711, 1, undefined]);
    program.input.write(Uint8Array.of(1, 2, 3));
    await settled("its input", () => libc.poll(input, 1, 0) !== 0);
    assert.deepEqual([...libc.read(input, 10) ?? []], [1, 2, 3]);
    const data = new Promise<Uint8Array>((resolve) => {
      program.output.onData = (chunk) => resolve(chunk.slice());
    });
    libc.write(output, Uint8Array.of(4, 5));
    program.output.resume();
    assert.deepEqual([...await within(data, "output")], [4, 5]);
    assert.equal(program.kill("SIGTERM"), true);
    assert.equal((await stage.next(KIND.KILL)).signal, "SIGTERM");
    monitor.send(exited(id, 15));
    assert.equal(await within(program.exited, "exit"), 15);
    assert.equal(program.kill("SIGKILL"), false);
    assert.equal(client.running, 0);
    closeAll(libc, [input, output]);
    program.input.destroy();
    program.output.destroy();
  }));

test("a program for UCSPI-TLS brings five ends", () =>
  play(async (stage) => {
    const promise = stage.client.start({ ...REQUEST, delayed: true }, place(), never);
    const theirs = started(stage, (await stage.next(KIND.START)).id, true);
    const { delayed, input, output } = await within(promise, "program");
    assert.ok(delayed);
    closeAll(stage.libc, theirs);
    for (const end of Object.values(delayed)) if (typeof end === "object") end.destroy();
    input.destroy();
    output.destroy();
  }));

test("a refusal is told in the monitor's words", () =>
  play(async (stage) => {
    const promise = stage.client.start(REQUEST, place(), never);
    stage.monitor.send(refused((await stage.next(KIND.START)).id));
    await assert.rejects(within(promise, "refusal"), /unable to run x: no such file/);
    assert.equal(stage.client.waiting, 0);
  }));

test("who gives up is not given the program that was on its way: it sees the end of its input", () =>
  play(async (stage) => {
    const { client, libc } = stage;
    const control = new AbortController();
    const promise = client.start(REQUEST, place(), control.signal);
    const { id } = await stage.next(KIND.START);
    control.abort({ kind: "client gone", how: "closed" });
    await assert.rejects(promise, /client gone/);
    assert.equal((await stage.next(KIND.CANCEL)).id, id);
    const [input, output] = started(stage, id) as [number, number];
    await settled("its input", () => libc.poll(input, 1, 0) !== 0);
    assert.equal(libc.read(input, 10)?.length, 0);
    stage.monitor.send(exited(id, 0));
    closeAll(libc, [input, output]);
    // A refusal of what was given up is nobody's either.
    const other = new AbortController();
    const second = client.start(REQUEST, place(), other.signal);
    other.abort({ kind: "shut down" });
    await assert.rejects(second, /shut down/);
    stage.monitor.send(refused(id + 1));
    await settled("the refusal", () => client.running === 1);
    assert.equal(client.waiting, 0);
  }));

test("what has been answered listens to its signal no more", () =>
  play(async (stage) => {
    const { client, libc } = stage;
    let listeners = 0;
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (
      listeners--, remove(...args)
    );
    for (let n = 0; n < 20; n++) {
      const promise = client.start(REQUEST, place(), signal);
      const { id } = await stage.next(KIND.START);
      if (n % 2 === 0) {
        stage.monitor.send(refused(id));
        await assert.rejects(promise);
        continue;
      }
      const theirs = started(stage, id);
      const program = await promise;
      program.input.destroy();
      program.output.destroy();
      closeAll(libc, theirs);
    }
    assert.equal(listeners, 0);
  }));

test("a START that the monitor would not take is refused here, and nothing is sent", () =>
  play(async ({ client, asked, next }) => {
    const variables = new Map(Array.from({ length: 3000 }, (_, n) => [`SSL_CLIENT_${n}`, ""]));
    await assert.rejects(
      client.start({ ...REQUEST, variables }, place(), never),
      /too much is known/,
    );
    assert.equal(client.waiting, 0);
    const abort = AbortSignal.abort({ kind: "shut down" });
    await assert.rejects(client.start(REQUEST, place(), abort), /shut down/);
    client.take("x".repeat(16), {});
    await next(KIND.TAKE);
    assert.deepEqual(asked, []);
  }));

const LIMITED: Ask = { perAddress: 3 };
const ADDRESS = "\u00fe".repeat(16);

test("without a limit nobody waits for an answer; with one the monitor's word counts", () =>
  play(async ({ client, monitor, next }) => {
    const free = client.take(ADDRESS, {});
    assert.ok(!(free instanceof Promise) && "release" in free);
    assert.equal(free.check({}), undefined);
    assert.deepEqual((await next(KIND.TAKE)).address, ADDRESS);

    const allowed = client.take(ADDRESS, LIMITED);
    monitor.send(verdict((await next(KIND.TAKE)).id));
    const hold = await allowed;
    assert.ok("release" in hold);
    const network = { key: "k".repeat(1000), count: 2 };
    const checked = hold.check({ network });
    const { id, ask } = await next(KIND.CHECK);
    assert.match(ask.network.key, /^[0-9a-f]{64}$/, "a long key travels as its digest");
    monitor.send(verdict(id, 3, 2));
    assert.deepEqual(await checked, { by: "network", count: 2 });
    hold.release();
    hold.release();
    assert.equal((await next(KIND.RELEASE)).id, id);

    const denied = client.take(ADDRESS, LIMITED);
    const second = await next(KIND.TAKE);
    assert.ok(second.id > id);
    monitor.send(verdict(second.id, 1, 3));
    assert.deepEqual(await denied, { by: "address", count: 3 });
  }));

test("what is asked about a connection that has gone is no, and costs the worker nothing", () =>
  play(async ({ client, asked, next }) => {
    const hold = client.take(ADDRESS, {});
    assert.ok("release" in hold);
    hold.release();
    assert.deepEqual(await hold.check(LIMITED), { by: "address", count: 0 });
    await next(KIND.TAKE);
    await next(KIND.RELEASE);
    assert.deepEqual(asked, []);
  }));

test("without its monitor everything that is open is answered, and everything new is refused", () =>
  play(async (stage) => {
    const { client, monitor, libc } = stage;
    const held = client.take(ADDRESS, {});
    assert.ok("release" in held);
    const running = client.start(REQUEST, place(), never);
    await stage.next(KIND.TAKE);
    const theirs = started(stage, (await stage.next(KIND.START)).id);
    const program = await running;
    const waiting = client.start(REQUEST, place(), never);
    const measured = client.take(ADDRESS, LIMITED);
    const checked = held.check(LIMITED);
    const rejected = assert.rejects(waiting, /the monitor is gone/);
    monitor.close();
    await within(rejected, "refusal");
    assert.equal(await within(program.exited, "an end that is not known"), undefined);
    assert.deepEqual(await measured, { by: "address", count: 0 });
    assert.deepEqual(await checked, { by: "address", count: 0 });
    assert.equal(client.waiting, 0);
    await assert.rejects(client.start(REQUEST, place(), never), /no monitor/);
    assert.deepEqual(await client.take(ADDRESS, LIMITED), { by: "address", count: 0 });
    assert.deepEqual(await held.check(LIMITED), { by: "address", count: 0 });
    assert.equal(program.kill("SIGKILL"), false);
    held.release();
    program.input.destroy();
    program.output.destroy();
    closeAll(libc, theirs);
  }));

test("an answer to nothing that was asked breaks the channel", () =>
  play(async ({ client, monitor }) => {
    const told = new Promise<void>((resolve) => client.onChange = resolve);
    monitor.send(refused(99));
    await within(told, "change");
    assert.ok(!client.channel.open);
  }));

test("every answer cut short is refused, and never half believed", async () => {
  const runtime = await thisRuntime();
  const channel = { open: true, send() {} } as unknown as Channel;
  const samples = [refused(1), exited(1, 0), verdict(1, 1, 3), counted(new Frame(KIND.PLACES))];
  for (const frame of samples) {
    for (let length = 5; length < frame.length; length++) {
      const client = new MonitorClient(runtime, channel);
      client.start(REQUEST, place(), never).catch(() => {});
      const body = new Reader(frame.subarray(5, length), "privsep");
      assert.throws(() => client.receive(frame[4] as number, body), { name: "DecodeError" });
    }
  }
  const all = concat(samples);
  const kinds = [...new Frames("monitor").push(all)].map(({ kind }) => kind);
  assert.deepEqual(kinds, [KIND.REFUSED, KIND.EXITED, KIND.VERDICT, KIND.PLACES]);
});

test("descriptors that are lost cost one start, and its program is told", async () => {
  const path = fileURLToPath(new URL("scarce_client.ts", import.meta.url));
  const run = "deno" in process.versions ? ["run", "-A", path] : ["--no-install", path];
  const command = `ulimit -n 100; exec ${[process.execPath, ...run].join(" ")}`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (data) => out += data);
  await once(child, "close");
  const lost = "unable to take the pipes of program 4711: descriptors were cut off: " +
    "too many open files";
  const lines = out.split("\n");
  assert.match(lines.splice(5, 1)[0] ?? "", /^5 delayed: unable to take .*too many open files/);
  assert.deepEqual(lines, [
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
