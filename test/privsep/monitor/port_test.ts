/** After a drain the port is free: a worker that keeps its copy of the socket is found, even if it says
 *  that it has closed it. */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { type Holder, Port } from "../../../src/privsep/monitor/port.ts";
import type { Libc } from "../../../src/runtime/libc/libc.ts";
import type { Launched, Runtime } from "../../../src/runtime/runtime.ts";
import { thisRuntime } from "../../runtime/kits.ts";
import { until, within } from "../../runtime/tools.ts";

interface Process extends Holder {
  readonly launched: Launched;
  readonly reasons: string[];
}

/** Starts a process with a copy of `fd`, or with none. */
function holder(runtime: Runtime, fd: number | undefined): Process {
  const libc = runtime.libc as Libc;
  const nowhere = libc.open("/dev/null");
  const descriptors = [nowhere, nowhere, nowhere, ...(fd === undefined ? [] : [fd])];
  const launched = runtime.launch({ command: ["/bin/sleep", "100"], env: {}, descriptors });
  libc.close(nowhere);
  const reasons: string[] = [];
  return {
    launched,
    reasons,
    pid: launched.pid,
    ended: launched.exited,
    giveUp(why) {
      reasons.push(why);
      launched.kill("SIGKILL");
    },
  };
}

async function setUp({ has, inherited = false }: {
  has?: () => undefined;
  inherited?: boolean;
} = {}): Promise<{ runtime: Runtime; libc: Libc; port: Port; number: number; copy: number }> {
  const runtime = await thisRuntime();
  const libc = runtime.libc as Libc;
  const made = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 5 });
  const port = new Port({
    libc,
    listen: () => made.fd,
    backlog: 5,
    inherited,
    ...(has ? { has } : {}),
  });
  port.listen();
  return { runtime, libc, port, number: made.port, copy: port.copy() };
}

function bindable(libc: Libc, port: number): boolean {
  try {
    libc.close(libc.listenSocket({ ip: "127.0.0.1", port, backlog: 5 }).fd);
    return true;
  } catch {
    return false;
  }
}

async function gone(...holders: Process[]): Promise<void> {
  for (const { launched } of holders) launched.kill("SIGKILL");
  await Promise.all(holders.map(({ ended }) => ended));
}

test("no process is ended if none has a copy", async () => {
  const { runtime, libc, port, number, copy } = await setUp();
  const honest = holder(runtime, undefined);
  port.drain();
  await within(port.untilFree(() => [honest]), "proof"); // this process keeps the socket listening
  libc.close(copy);
  assertEquals(honest.reasons, []);
  await gone(honest);
  await until(() => bindable(libc, number), "the port is free");
});

test("a process that keeps its copy is ended, and no other", async () => {
  const { runtime, libc, port, number, copy } = await setUp();
  const [honest, liar] = [holder(runtime, undefined), holder(runtime, copy)];
  libc.close(copy);
  port.drain();
  const holders = [honest, liar];
  liar.ended.then(() => holders.pop());
  await within(port.untilFree(() => holders), "proof");
  assertEquals(liar.reasons, ["it did not close the listening socket"]);
  assertEquals(honest.reasons, []);
  assert(bindable(libc, number));
  await gone(honest);
});

test("a copy of a supervisor's socket, which still listens, is found too", async () => {
  const { runtime, libc, port, number, copy } = await setUp({ inherited: true });
  const supervisor = libc.dup(copy);
  const [honest, liar] = [holder(runtime, undefined), holder(runtime, copy)];
  libc.close(copy);
  port.drain();
  const holders = [honest, liar];
  liar.ended.then(() => holders.pop());
  await within(port.untilFree(() => holders), "proof");
  assertEquals([honest.reasons, liar.reasons], [[], ["it did not close the listening socket"]]);
  assert(!bindable(libc, number), "the supervisor's socket was closed");
  libc.close(supervisor);
  await gone(honest);
});

test("without permission to inspect processes, all are ended while the socket listens", async () => {
  const { runtime, libc, port, number, copy } = await setUp({ has: () => undefined });
  const [honest, liar] = [holder(runtime, undefined), holder(runtime, copy)];
  libc.close(copy);
  port.drain();
  const holders = [liar, honest];
  liar.ended.then(() => holders.shift());
  await within(port.untilFree(() => holders), "proof");
  assertEquals([honest.reasons, liar.reasons], [[], ["it did not close the listening socket"]]);
  assert(bindable(libc, number));
  await gone(honest);
});

test("there is nothing to repair before the port is open, and after it is closed", async () => {
  const { libc } = await thisRuntime() as { libc: Libc };
  const repaired: number[] = [];
  const counting: Libc = Object.assign(Object.create(libc), {
    repairListener: (fd: number) => repaired.push(fd) > 0,
  });
  const listen = () => libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 5 }).fd;
  const port = new Port({ libc: counting, listen, backlog: 5, inherited: false });
  assert(!port.repair());
  port.listen();
  assert(port.repair());
  port.close();
  assert(!port.repair());
  assertEquals(repaired.length, 1);
});
