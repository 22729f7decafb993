/** What a program can reach of monitor and worker. A C program tries it under a separate user and under the
 *  worker's: signals, memory, descriptors, folders, limits, the debugger, the log. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import process from "node:process";
import { makeRules } from "./admission.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { claim, type Trial } from "./harness.ts";
import {
  AS_PROGRAM,
  asRoot,
  compiled,
  jailed,
  locked,
  statusOf,
  words,
  workerOf,
} from "./privsep.ts";

/** The number of attempts: 2 on the key and the log, and 37 on each of monitor and worker. */
const ATTEMPTS = 2 + 2 * 37;
/** A refusal by the kernel. An attempt to connect to the debugger ends differently. */
const REFUSED = /: (Permission denied|Operation not permitted)$/;

/** Runs `privsep attack` as the program. Returns the attempts that the kernel did not refuse. */
async function attacked(t: Trial, env: Record<string, string>): Promise<string[]> {
  const pair = locked(await selfSigned(t, "first"));
  // Copied out of the project's folder, which the program's user may not enter.
  fs.copyFileSync(await compiled("privsep"), `${t.dir}/attack`);
  const script = 'exec "$0/attack" attack $PPID "$(pgrep -P $PPID -f sslserver-worker)" "$1"';
  const server = await t.start({
    options: ["-vHRl0", "--workers", "1", ...AS_PROGRAM],
    env: { ...environmentOf(pair), ...env },
    program: ["sh", "-c", script, t.dir, pair.key],
  });
  const worker = await workerOf(server);
  const { text, end } = await talk(t, server);
  assertStrictEquals(end, "close_notify");
  assertStrictEquals(await workerOf(server), worker);
  const told = text.trim().split("\n");
  assertStrictEquals(told.length, ATTEMPTS, text);
  return told.filter((line) => !REFUSED.test(line));
}

asRoot("a program can neither read the key nor reach monitor or worker", async (t) => {
  // The program's descriptor 2 is the server's. To protect the log, send it to a reader through a pipe.
  assertEquals(await attacked(t, jailed(t)), ["truncate the log: done"]);
});

asRoot("a program that is the worker's own user sees nothing of it either", async (t) => {
  // A process may signal others of its user, and set their limits and priorities. SSL_UID prevents that.
  assertEquals(await attacked(t, {}), [ // the worker becomes -u and -g
    "truncate the log: done",
    "signal worker: done",
    "signal a thread of worker: done",
    "queue a signal for worker: done",
    "limit worker: done",
    "make nice worker: done",
    "bind to a processor worker: done",
    "open the debugger of worker: Connection refused",
  ]);
});

const USR1 = 1n << 9n;
const mask = (pid: number | string, field: string): bigint =>
  BigInt(`0x${statusOf(pid).get(field)}`);

claim("no signal opens a debugger, or the log says that one does", async (t) => {
  const server = await t.start({ options: ["-HRl0"] });
  assertStrictEquals((await talk(t, server, "once\n")).text, "once\n");
  const workers = server.workers();
  const all = [server.pid, ...workers];
  const warning = /^sslserver: warning: Deno without FFI opens its debugger at SIGUSR1: /;
  assertStrictEquals(server.lines(warning).length, t.ffi ? 0 : 1, server.log());
  if (!t.ffi) return;
  for (const pid of all) {
    assertStrictEquals(mask(pid, "SigIgn") & USR1, USR1, words(pid, "cmdline")[0]);
  }
  for (const pid of t.onDeno ? workers : []) { // blocked from the first instruction; Bun unblocks it
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
      assertStrictEquals(mask(`${pid}/task/${task}`, "SigBlk") & USR1, USR1);
    }
  }
  for (const pid of all) process.kill(pid, "SIGUSR1");
  assertStrictEquals((await talk(t, server, "again\n")).text, "again\n");
  assertEquals(server.lines(/[Dd]ebugger/), []);
});

asRoot("a runtime with a debugger says when workers and programs are one user", async (t) => {
  const warning = /^sslserver: warning: workers are user \d+: programs run as the same user/;
  const one = await t.start({ options: [...AS_PROGRAM, "--workers", "1"] });
  assertStrictEquals(one.lines(warning).length, t.onDeno ? 1 : 0, one.log());
  const two = await t.start({ options: [...AS_PROGRAM, "--workers", "1"], env: jailed(t) });
  assertEquals(two.lines(warning), []);
});

asRoot("with rules every thread of a worker is restricted, and it serves", async (t) => {
  const rules = await makeRules(t, ":allow\n");
  const server = await t.start({
    options: ["-HRl0", "--workers", "2", ...AS_PROGRAM, "-x", rules],
    env: jailed(t),
  });
  assertStrictEquals((await talk(t, server, "in\n")).text, "in\n");
  assertEquals(server.lines(/sandbox/), []); // the log would name a missing restriction
  for (const pid of server.workers()) {
    assertEquals(words(pid, "cmdline").slice(-2), ["--as", "sslserver-worker"]);
  }
});
