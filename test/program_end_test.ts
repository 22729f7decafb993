import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "../src/log.ts";
import { watchEnd } from "../src/program_end.ts";
import type { Launched } from "../src/runtime/runtime.ts";
import { currentRuntime } from "../src/runtime/current.ts";

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
  return { sent, lines, resolve, program: watchEnd(launched, { options: { killAfter }, log }) };
}

test("SIGKILL follows the first SIGTERM after so many seconds, and only then", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { sent, lines, program } = stage(5);
  t.mock.timers.tick(100_000);
  assert.deepEqual(sent, []);
  program.kill("SIGTERM");
  t.mock.timers.tick(3000);
  program.kill("SIGTERM");
  t.mock.timers.tick(1999);
  assert.deepEqual(sent, ["SIGTERM", "SIGTERM"]);
  t.mock.timers.tick(1);
  assert.deepEqual(sent.at(-1), "SIGKILL");
  await program.exited;
  t.mock.timers.tick(100_000);
  assert.deepEqual(lines, []);
});

for (const killAfter of [undefined, 90]) {
  test(`a program that goes on for a minute is named in the log (${killAfter})`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { sent, lines, program, resolve } = stage(killAfter);
    program.kill("SIGTERM");
    t.mock.timers.tick(60_000);
    const line = "test: warning: program 4711 runs on a minute after SIGTERM\n";
    assert.deepEqual(lines, [line]);
    assert.deepEqual(sent, ["SIGTERM"]);
    resolve(15);
    await program.exited;
    t.mock.timers.tick(100_000);
    assert.deepEqual([sent, lines], [["SIGTERM"], [line]]);
  });
}

test("a program that ends in time costs nothing more", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { sent, lines, program, resolve } = stage(5);
  program.kill("SIGTERM");
  resolve(15);
  await program.exited;
  t.mock.timers.tick(100_000);
  assert.deepEqual([sent, lines], [["SIGTERM"], []]);
});

test("a stopped program takes SIGTERM", async () => {
  const runtime = await currentRuntime();
  const program = runtime.spawn({
    command: ["/bin/sh", "-c", "kill -STOP $$; sleep 100"],
    env: {},
  });
  const { readFileSync } = await import("node:fs");
  const stopped = (): boolean =>
    /^State:\tT/m.test(readFileSync(`/proc/${program.pid}/status`, "latin1"));
  while (!stopped()) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(program.kill("SIGTERM"));
  assert.equal(await program.exited, 15);
  program.input.destroy();
  program.output.destroy();
});
