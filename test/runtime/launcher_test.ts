/** The launcher against a fake C library that reports which children have ended. */

import { assertEquals, assertObjectMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { constants } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { Launcher } from "../../src/runtime/launcher.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";

/** A launcher with fake children. `ended` are those of its children that have ended; `strangers` are ended
 *  children that it did not start. */
function launcher() {
  const ended: number[] = [];
  const strangers: number[] = [];
  const looked: string[] = [];
  let pid = 100;
  let handler: (() => void) | undefined;
  let fails = false;
  const killed: number[] = [];
  const threads = [process.pid];
  /** The signals that each child was to ignore. */
  const ignored: unknown[] = [];
  const libc = {
    kill(pid: number, signal: number) {
      if (fails) throw Object.assign(new Error("kill: not permitted"), { code: "EPERM" });
      killed.push(pid, signal);
    },
    confines: true,
    threads: () => threads,
    spawn(...args: unknown[]) {
      ignored.push(args[6]);
      if (fails) throw Object.assign(new Error("posix_spawn: no such file"), { code: "ENOENT" });
      return ++pid;
    },
    withFirstFileLimit: <T>(start: () => T): T => start(),
    ended: () => strangers[0] ?? ended[0] ?? 0,
    reap(pid: number) {
      if (strangers[0] === pid) return strangers.shift();
      const at = ended.indexOf(pid);
      return at < 0 ? undefined : ended.splice(at, 1).length * 256;
    },
  } as unknown as Libc;
  const watch = (found: () => void, on: boolean): void => {
    handler = on ? found : undefined;
  };
  const one = new Launcher(libc, watch, (name) => {
    looked.push(name);
    return `/bin/${name}`;
  });
  const command = ["true"];
  return {
    ended,
    strangers,
    looked,
    killed,
    threads,
    ignored,
    launch: () => one.launch({ command, env: {}, descriptors: [0, 1, 2] }),
    fail: (on: boolean) => fails = on,
    signal: () => handler?.(),
    one,
  };
}

test("children ignore the signals to keep, if no other thread could take one meanwhile", () => {
  const { one, launch, ignored, threads } = launcher();
  const { SIGHUP, SIGINT } = constants.signals;
  assertEquals(one.keepIgnored(["SIGHUP", "SIGINT"]), []);
  launch();
  threads.push(-1); // its signal mask is not known
  assertEquals(one.keepIgnored(["SIGTERM"]), ["SIGTERM"]);
  launch();
  assertEquals(ignored, [[SIGHUP, SIGINT], [SIGHUP, SIGINT]]);
});

test("one signal reports all children that have ended", async () => {
  const { launch, ended, signal } = launcher();
  const children = [launch(), launch(), launch()];
  ended.push(...children.map(({ pid }) => pid));
  signal();
  assertEquals(await Promise.all(children.map(({ exited }) => exited)), [256, 256, 256]);
});

test("children that end after another process's child are reported, too", async () => {
  const { launch, ended, strangers, signal } = launcher();
  const children = [launch(), launch()];
  strangers.push(1);
  ended.push(...children.map(({ pid }) => pid));
  signal();
  assertEquals(await Promise.all(children.map(({ exited }) => exited)), [256, 256]);
  assertEquals(strangers, [1]);
});

test("orphans are reaped if asked for, and children of the runtime are not", async () => {
  const { one, launch, ended, strangers, signal } = launcher();
  strangers.push(1, 2);
  one.reapAll(); // reaps children that ended before
  assertStrictEquals(strangers.length, 0);
  const [child, gone] = [launch(), Promise.withResolvers<void>()];
  one.leave(7, gone.promise);
  strangers.push(3, 7);
  ended.push(child.pid);
  signal();
  assertStrictEquals(await child.exited, 256);
  assertEquals(strangers, [7]);
  gone.resolve();
  await gone.promise;
  await Promise.resolve();
  signal(); // pid 7 is another process now
  assertStrictEquals(strangers.length, 0);
});

test("an exit whose signal is lost is reported within two seconds", async () => {
  const { launch, ended } = launcher();
  const child = launch();
  ended.push(child.pid);
  assertStrictEquals(await child.exited, 256);
});

test("no signal is sent to a child that has ended", async () => {
  const { launch, ended, signal } = launcher();
  const child = launch();
  ended.push(child.pid);
  signal();
  await child.exited;
  assertStrictEquals(child.kill("SIGTERM"), false);
});

test("a program is not looked up for every start, but again when it could not be started", async () => {
  const { launch, ended, looked, fail, signal } = launcher();
  const children = [launch(), launch()];
  assertEquals(looked, ["true"]);
  fail(true);
  assertObjectMatch(assertThrows(launch, Error), { code: "ENOENT" });
  fail(false);
  children.push(launch());
  assertEquals(looked, ["true", "true"]);
  ended.push(...children.map(({ pid }) => pid));
  signal();
  await Promise.all(children.map(({ exited }) => exited));
});

test("a signal that the system refuses throws nothing", () => {
  const { launch, fail, killed } = launcher();
  const child = launch();
  fail(true);
  assertStrictEquals(child.kill("SIGTERM"), false);
  fail(false);
  assertStrictEquals(child.kill("SIGKILL"), true);
  assertEquals(killed, [child.pid, 9]);
});
