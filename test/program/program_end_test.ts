import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Log } from "../../src/log.ts";
import { watchEnd } from "../../src/program/program_end.ts";
import type { Launched } from "../../src/runtime/runtime.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

function stage(killAfter: number | undefined) {
  const sent: string[] = [];
  const lines: string[] = [];
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  const launched: Launched = {
    pid: 4711,
    exited,
    kill(signal) {
      sent.push(signal);
      if (signal === "SIGKILL") resolve(9);
      return true;
    },
  };
  const write = (text: string): void => void lines.push(text);
  const log = new Log({ verbosity: 1, form: "text", name: "test", write });
  let now = 0;
  const timers = new Map<() => void, number>();
  const later = (act: () => void, ms: number): () => void => {
    timers.set(act, now + ms);
    return () => void timers.delete(act);
  };
  const tick = (ms: number): void => {
    now += ms;
    for (const [act, at] of timers) {
      if (at > now) continue;
      timers.delete(act);
      act();
    }
  };
  const said = (): string[] => {
    log.flush();
    return lines;
  };
  const program = watchEnd(launched, { options: { killAfter }, log }, later);
  return { sent, said, resolve, program, tick };
}

test("SIGKILL follows the first SIGTERM after so many seconds, and only then", async () => {
  const { sent, said, program, tick } = stage(5);
  tick(100_000);
  assertEquals(sent, []);
  program.kill("SIGTERM");
  tick(3000);
  program.kill("SIGTERM");
  tick(1999);
  assertEquals(sent, ["SIGTERM", "SIGTERM"]);
  tick(1);
  assertEquals(sent.at(-1), "SIGKILL");
  await program.exited;
  tick(100_000);
  assertEquals(said(), []);
});

for (const killAfter of [undefined, 90]) {
  test(`a program that runs for a minute after SIGTERM is named in the log (${killAfter})`, async () => {
    const { sent, said, program, tick, resolve } = stage(killAfter);
    program.kill("SIGTERM");
    tick(60_000);
    const line = "test: warning: program 4711 still runs a minute after SIGTERM\n";
    assertEquals(said(), [line]);
    assertEquals(sent, ["SIGTERM"]);
    resolve(15);
    await program.exited;
    tick(100_000);
    assertEquals([sent, said()], [["SIGTERM"], [line]]);
  });
}

test("a program that ends in time costs nothing more", async () => {
  const { sent, said, program, tick, resolve } = stage(5);
  program.kill("SIGTERM");
  resolve(15);
  await program.exited;
  tick(100_000);
  assertEquals([sent, said()], [["SIGTERM"], []]);
});

test("a stopped program receives SIGTERM", async () => {
  const runtime = await currentRuntime();
  const program = runtime.spawn({
    command: ["/bin/sh", "-c", "kill -STOP $$; sleep 100"],
    env: {},
  });
  const stopped = (): boolean =>
    /^State:\tT/m.test(readFileSync(`/proc/${program.pid}/status`, "latin1"));
  while (!stopped()) await new Promise((resolve) => setTimeout(resolve, 5));
  assert(program.kill("SIGTERM"));
  assertStrictEquals(await program.exited, 15);
  program.input.destroy();
  program.output.destroy();
});
