/** Run by remote_test.ts with few descriptors: the worker's side receives the pipes of programs when only
 *  some descriptors are free. Prints the result of each start. */

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { Channel } from "../../../src/privsep/channel.ts";
import { FROM_MONITOR, FROM_WORKER } from "../../../src/privsep/message_codec.ts";
import type { WorkerMessage } from "../../../src/privsep/messages.ts";
import { RemotePrograms } from "../../../src/privsep/worker/remote_programs.ts";
import { Slots } from "../../../src/program/slots.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import { closeAll, programPipes } from "../../../src/runtime/program_pipes.ts";
import { thisRuntime } from "../../runtime/kits.ts";

const runtime = await thisRuntime();
const libc = runtime.libc as Libc;
const [a, b] = libc.socketpair("stream");
const [passA, passB] = libc.socketpair("stream");
const [mine, other] = [await runtime.adoptSocket(a), await runtime.adoptSocket(b)];
const monitor = new Channel(libc, mine, passA, FROM_MONITOR, FROM_WORKER);
const channel = new Channel(libc, other, passB, FROM_WORKER, FROM_MONITOR);
const client = new RemotePrograms(runtime, channel);
const say = (text: string): void => void process.stdout.write(`${text}\n`);
channel.take({
  message(message) {
    if (message.kind === "STARTED") client.started(message);
  },
  broken: (why) => say(`broken: ${why}`),
});
channel.begin();

/** Makes one start, with `free` descriptors left when the answer comes. */
async function start(free: number, delayed: boolean): Promise<void> {
  const { mine, theirs } = programPipes(libc, delayed);
  const filler: number[] = [];
  const answer = (request: WorkerMessage): void => {
    if (request.kind !== "START") return;
    // `send` closes the descriptors in `mine`, so that many more are free then.
    for (;;) {
      try {
        filler.push(openSync("/dev/null", "r"));
      } catch {
        break;
      }
    }
    const leave = free - mine.length;
    if (leave > 0) { for (const fd of filler.splice(0, leave)) closeSync(fd); }
    const late: number[] = [];
    const slots = { running: 1, full: true, wanted: false, granted: 0 };
    monitor.send({ kind: "STARTED", id: request.id, pid: 4711, delayed, ...slots }, mine);
    for (let more = leave; more < 0; more++) late.push(openSync("/dev/null", "r"));
    filler.push(...late);
  };
  monitor.take({ message: answer });
  const request = { delayed, variables: new Map(), rules: new Map(), peer: { ip: "192.0.2.1" } };
  let result: string;
  try {
    const { signal } = new AbortController();
    const slot = await new Slots(1).take(signal);
    const { input, output, delayed: more } = await client.start(request, slot.secureNow(), signal);
    result = "started";
    const ends = more ? Object.values(more).filter((end) => typeof end === "object") : [];
    for (const end of [input, output, ...ends]) end.destroy();
  } catch (error) {
    result = String((error as Error).message);
  }
  filler.forEach((fd) => closeSync(fd));
  let told = false; // a stream is closed one event loop turn later
  for (const end = performance.now() + 5000; !told && performance.now() < end;) {
    await new Promise((done) => setTimeout(done, 5));
    told = (libc.poll(theirs[0] as number, 1, 0) & 16) !== 0;
  }
  say(`${free} ${delayed ? "delayed" : "plain"}: ${result}${told ? "" : ", program not told"}`);
  closeAll(libc, theirs);
}

monitor.begin();
await start(50, false);
await start(0, false);
await start(1, false);
await start(50, false);
await start(3, true);
await start(5, true);
await start(50, true);
say(`open: ${channel.open}`);
process.exit(0);
