/** The contract of programs with the descriptors of UCSPI-TLS, for the runtime that runs this file. */

import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { SystemError } from "../../src/runtime/libc/libc.ts";
import { closeAll, programPipes } from "../../src/runtime/program_pipes.ts";
import type { DelayedEnds, Program, Source } from "../../src/runtime/runtime.ts";
import { thisRuntime } from "./kits.ts";
import { libcHere, refuses } from "./libc/here.ts";
import { bytes, event, readAll, readSome, text, until, within } from "./tools.ts";

const openFiles = (): number => readdirSync("/proc/self/fd").length;

async function start(script: string): Promise<{ program: Program; ends: DelayedEnds }> {
  const runtime = await thisRuntime();
  const command = ["sh", "-c", script];
  const program = runtime.spawn({ command, env: { PATH: "/usr/bin:/bin" }, delayed: true });
  assert(program.delayed);
  return { program, ends: program.delayed };
}

function close({ input, output }: Program, ends: DelayedEnds): void {
  for (const end of [input, output, ends.controlInput, ends.controlOutput]) end.destroy();
  for (const end of [ends.tlsInput, ends.tlsOutput]) end.destroy();
}

async function line(source: Source): Promise<string> {
  return text(await readSome(source, 1));
}

test("a program has descriptors 0 to 5 and no others, the control one a socket", async () => {
  const { program, ends } = await start("readlink /proc/$$/fd/* 2>/dev/null; exit 3");
  // Index 2 is stderr. The descriptor with which sh listed the folder is closed when readlink runs.
  const kinds = text(await readAll(program.output)).trim().split("\n")
    .map((target) => target.replace(/:.*/, ""));
  assertEquals([kinds[0], kinds[1], ...kinds.slice(3)], [
    "pipe",
    "pipe",
    "socket",
    "pipe",
    "pipe",
  ]);
  assertStrictEquals(await within(program.exited, "exit"), 3 * 256);
  close(program, ends);
});

const libc = await libcHere();
const skip = !refuses(libc) && "the system has no SO_PASSRIGHTS";

test("a program can send no descriptors on the control socket", { skip }, () => {
  const { mine, theirs } = programPipes(libc, true);
  try {
    const control = theirs[2] as number;
    const send = (): unknown => libc.sendDescriptors(control, Uint8Array.of(1), [control]);
    assertStrictEquals(assertThrows(send, SystemError).code, "EPERM");
  } finally {
    closeAll(libc, [...mine, ...theirs]);
  }
});

test("each descriptor is connected correctly, the control socket in both directions", async () => {
  const { program, ends } = await start(
    `read a; echo "0 $a"; printf Y >&3; read b <&3; read c <&4; echo "$b $c" >&5`,
  );
  program.input.write(bytes("plain\n"));
  assertStrictEquals(await line(program.output), "0 plain\n");
  assertStrictEquals(await line(ends.controlInput), "Y");
  ends.controlOutput.write(bytes("environment\n"));
  ends.tlsInput.write(bytes("secret\n"));
  assertStrictEquals(await line(ends.tlsOutput), "environment secret\n");
  assertStrictEquals(await within(program.exited, "exit"), 0);
  close(program, ends);
});

test("a closed descriptor 1 is an end, and the program sees our closed end", async () => {
  const { program, ends } = await start("exec >&-; cat <&3; cat <&4; cat; echo done >&5");
  assertStrictEquals(text(await readAll(program.output)), "");
  for (const end of [ends.controlInput, ends.controlOutput, ends.tlsInput]) end.destroy();
  program.input.end();
  assertStrictEquals(await line(ends.tlsOutput), "done\n");
  await within(program.exited, "exit");
  close(program, ends);
});

for (const goes of [true, false]) {
  const what = goes ? "goes first" : "stays";
  test(`the control socket's output ends with all that was written; its input ${what}`, async () => {
    const more = goes ? "" : "printf more >&3;";
    const { program, ends } = await start(`printf Y >&3; cat <&3 >&5; ${more} echo end >&5`);
    assertStrictEquals(await line(ends.controlInput), "Y");
    if (goes) ends.controlInput.destroy();
    const answer = `${"A=1\0".repeat(100_000)}end\n`;
    ends.controlOutput.write(bytes(answer.slice(0, -4)));
    ends.controlOutput.end();
    const got = text(await readSome(ends.tlsOutput, answer.length));
    assert(got === answer, `${got.length} bytes`);
    if (!goes) assertStrictEquals(text(await readSome(ends.controlInput, 4)), "more");
    await within(program.exited, "exit");
    close(program, ends);
  });
}

test("output written before the request arrives at most one turn after the request", async () => {
  for (let round = 0; round < 30; round++) {
    const { program, ends } = await start("echo out; printf y >&3; read end");
    let output = "";
    program.output.take({ data: (chunk) => output += text(chunk) });
    program.output.resume();
    assertStrictEquals(await line(ends.controlInput), "y");
    const seen = ends.outputReadable();
    if (!seen) await new Promise((resolve) => setImmediate(resolve));
    assert(seen || output === "out\n", `neither there nor delivered in round ${round}`);
    await until(() => output === "out\n", "the output");
    await until(() => !ends.outputReadable() && !ends.controlReadable(), "all of it");
    program.input.end();
    await within(program.exited, "exit");
    close(program, ends);
    assert(!ends.outputReadable() && !ends.controlReadable());
  }
});

test("no descriptor and no process is left", async () => {
  const scripts = [
    "exit 0",
    "head -c 300000 /dev/zero",
    "kill -9 $$",
    "echo y >&3; cat >&5",
    "exec 3>&- 4>&- 5>&-",
  ];
  const round = async (): Promise<void> => {
    for (const script of scripts) {
      for (const read of [false, true]) {
        const { program, ends } = await start(script);
        if (read) {
          const all = readAll(program.output);
          program.input.end();
          await all;
        }
        program.input.write(bytes("unread"));
        ends.tlsInput.write(new Uint8Array(300_000));
        close(program, ends);
        program.kill("SIGKILL");
        await within(program.exited, "exit");
      }
    }
  };
  await round(); // opens the descriptors that the runtime keeps
  const before = openFiles();
  for (let i = 0; i < 5; i++) await round();
  await until(() => openFiles() <= before, "all descriptors closed");
});

test("a program that cannot be executed leaves nothing behind", async () => {
  const runtime = await thisRuntime();
  const before = openFiles();
  for (let i = 0; i < 10; i++) {
    assertObjectMatch(
      assertThrows(
        () => runtime.spawn({ command: ["/nonexistent/program"], env: {}, delayed: true }),
        Error,
      ),
      { code: "ENOENT" },
    );
  }
  await until(() => openFiles() <= before, "all descriptors closed");
});

test("a write to a pipe whose reader has closed reports EPIPE", async () => {
  const { program, ends } = await start("exec 4<&-; echo closed; read end");
  assertStrictEquals(await line(program.output), "closed\n");
  const closed = event(ends.tlsInput, "close");
  ends.tlsInput.write(new Uint8Array(100_000));
  const error = await closed;
  assertStrictEquals((error as Error & { code?: string }).code, "EPIPE");
  program.input.end();
  await within(program.exited, "exit");
  close(program, ends);
});
