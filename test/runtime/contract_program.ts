/** The contract of programs and signals. */

import {
  assert,
  assertEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
  fail,
} from "@std/assert";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { IGNORED } from "../../src/runtime/libc/ignored_signals.ts";
import type { Program, Runtime } from "../../src/runtime/runtime.ts";
import { bytes, event, noProc, readAll, readSome, text, until, within } from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

const openFiles = (): number => readdirSync("/proc/self/fd").length;

/** A signal mask from the text of /proc/PID/status. */
function signalMask(status: string, name: string): bigint {
  return BigInt(`0x${new RegExp(`^${name}:\t([0-9a-f]{16})$`, "m").exec(status)?.[1]}`);
}

/** Zombies of this process, from /proc. */
function zombies(): string[] {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const fields = readFileSync(`/proc/${entry}/stat`, "latin1").split(") ")[1]!.split(" ");
      return fields[0] === "Z" && Number(fields[1]) === process.pid;
    } catch {
      return false; // ended since readdir
    }
  });
}

export function programContract(runtime: Runtime): void {
  const claim = (
    name: string,
    body: (runtime: Runtime) => Promise<void>,
    skip: string | false = false,
  ) => test(`program: ${name}`, { ...PATIENT, skip }, () => body(runtime));

  const shell = (runtime: Runtime, script: string, env: Record<string, string> = {}): Program =>
    runtime.spawn({ command: ["/bin/sh", "-c", script], env: { PATH: "/usr/bin:/bin", ...env } });

  /** The output and status of a program that gets `input`. */
  async function outcome(program: Program, input = ""): Promise<[string, number | undefined]> {
    const output = readAll(program.output);
    if (input !== "") program.input.write(bytes(input));
    program.input.end();
    return [text(await output), await within(program.exited, "exit")];
  }

  claim("input, output and end of a program are passed on", async (runtime) => {
    const program = shell(runtime, "cat; echo; echo bye");
    assertEquals(await outcome(program, "hello"), ["hello\nbye\n", 0]);
  });

  claim("its environment is exactly the one given", async (runtime) => {
    const env = { A: "1", PATH: "/nowhere", ODD: "a b\tc=d" };
    const [output] = await outcome(runtime.spawn({ command: ["/usr/bin/env"], env }));
    assertEquals(output.trim().split("\n").sort(), ["A=1", "ODD=a b\tc=d", "PATH=/nowhere"]);
  });

  claim("a program is looked up in the server's $PATH, not in its own", async (runtime) => {
    const folder = mkdtempSync(`${tmpdir()}/contract-`);
    writeFileSync(`${folder}/env`, "#!/bin/sh\necho a rule chose me\n", { mode: 0o755 });
    const [output] = await outcome(runtime.spawn({ command: ["env"], env: { PATH: folder } }));
    rmSync(folder, { recursive: true });
    assertStrictEquals(output, `PATH=${folder}\n`);
  });

  claim("it has descriptors 0, 1 and 2 only", async (runtime) => {
    const file = `${process.cwd()}/package.json`;
    const { open } = await import("node:fs/promises");
    const ours = await open(file);
    const [output] = await outcome(shell(runtime, "ls -1 /proc/$$/fd"));
    await ours.close();
    assertStrictEquals(output, "0\n1\n2\n");
  }, runtime.libc ? noProc : "without FFI nothing can be closed on exec");

  claim("its 0 and 1 are pipes: /dev/stdin and /dev/stdout can be opened", async (runtime) => {
    const program = shell(runtime, "cat /dev/stdin >/dev/stdout");
    assertEquals(await outcome(program, "through"), ["through", 0]);
  });

  claim("exit codes and signals are reported as a wait status", async (runtime) => {
    assertEquals(await outcome(shell(runtime, "exit 7")), ["", 7 * 256]);
    assertEquals(await outcome(shell(runtime, "kill -9 $$")), ["", 9]);
    const program = shell(runtime, "echo ready; exec sleep 60");
    await readSome(program.output, 6);
    assertStrictEquals(program.kill("SIGTERM"), true);
    assertStrictEquals(await within(program.exited, "exit"), 15);
    assertStrictEquals(program.kill("SIGKILL"), false);
    program.input.destroy();
    program.output.destroy();
  });

  claim("what cannot be executed throws, with a code and without a trace", async (runtime) => {
    const before = openFiles();
    const folder = mkdtempSync(`${tmpdir()}/contract-`);
    writeFileSync(`${folder}/plain`, "no program", { mode: 0o644 });
    const cases: [string, string][] = [
      [`${folder}/missing`, "ENOENT"],
      [`${folder}/plain`, "EACCES"],
      ["no-such-program-anywhere", "ENOENT"],
    ];
    for (const [name, code] of cases) {
      for (let count = 0; count < 10; count++) {
        assertObjectMatch(assertThrows(() => runtime.spawn({ command: [name], env: {} }), Error), {
          code,
        }, name);
      }
    }
    rmSync(folder, { recursive: true });
    await until(() => openFiles() <= before, "all descriptors closed");
  }, noProc);

  claim("a program that does not read causes close with the reason", async (runtime) => {
    const program = shell(runtime, "exec 0<&-; echo closed; sleep 5");
    assertStrictEquals(text(await readSome(program.output, 7)), "closed\n");
    const closed = event(program.input, "close");
    const more = () => {
      for (let count = 0; count < 4; count++) program.input.write(new Uint8Array(65536));
    };
    more();
    const error = await closed;
    assert(error instanceof Error);
    assertStrictEquals((error as Error & { code?: string }).code, "EPIPE");
    more();
    program.input.end();
    program.kill("SIGKILL");
    assertStrictEquals(await within(program.exited, "exit"), 9);
    program.output.destroy();
  });

  claim("a closed pipe is reported to each owner", async (runtime) => {
    const program = shell(runtime, "exec 0<&-; echo closed; sleep 5");
    program.output.take({ data: () => fail("a former owner was told") });
    assertStrictEquals(text(await readSome(program.output, 7)), "closed\n");
    const first = event(program.input, "close");
    for (let n = 0; n < 4; n++) program.input.write(new Uint8Array(65536));
    const error = await first;
    assert(error instanceof Error);
    for (let owner = 0; owner < 2; owner++) {
      assertStrictEquals(await event(program.input, "close"), error);
    }
    program.kill("SIGKILL");
    await within(program.exited, "exit");
    assertStrictEquals(text(await readAll(program.output)), "");
    program.input.destroy();
  });

  claim("unread output waits in the program", async (runtime) => {
    const size = 300_000_000;
    const program = shell(runtime, `head -c ${size} /dev/zero`);
    program.input.end();
    let count = (await readSome(program.output, 1)).length;
    const before = process.memoryUsage().rss;
    // No memory may be taken here, so there is no event to wait for.
    await new Promise((done) => setTimeout(done, 700));
    const grown = (process.memoryUsage().rss - before) / 1e6;
    assert(grown < 60, `grew by ${grown} MB`);
    const ended = event(program.output, "end", { data: (chunk) => count += chunk.length });
    program.output.resume();
    await ended;
    assertStrictEquals(count, size);
    assertStrictEquals(await within(program.exited, "exit"), 0);
  });

  claim("write() returns false while input is unread, and drain follows", async (runtime) => {
    const program = shell(runtime, "read go; wc -c");
    const output = readAll(program.output);
    let count = 0;
    program.input.write(bytes("go\n".slice(0, 1)));
    while (program.input.write(new Uint8Array(40_000).fill(65))) {
      count += 40_000;
      assert(count < 50_000_000, "write() never said no");
      await new Promise((done) => setTimeout(done, 0));
    }
    count += 40_000;
    const drained = event(program.input, "drain");
    program.input.write(bytes("\nrest"));
    await drained;
    program.input.end();
    assertStrictEquals(text(await output).trim(), "4");
    assertStrictEquals(await within(program.exited, "exit"), 0);
  });

  claim("output written just before the exit arrives, also if it is read late", async (runtime) => {
    const program = shell(runtime, "echo last words");
    assertStrictEquals(await within(program.exited, "exit"), 0);
    assertStrictEquals(text(await readAll(program.output)), "last words\n");
    program.input.destroy();
  });

  claim("200 programs leave no descriptor and no zombie", async (runtime) => {
    const round = async (count: number) => {
      const all = Array.from({ length: count }, (_, number) => {
        const program = runtime.spawn({ command: ["/bin/cat"], env: {} });
        if (number % 3 > 0) return outcome(program, "x");
        program.input.destroy();
        program.output.destroy();
        return program.exited;
      });
      await within(Promise.all(all), "end of all programs");
    };
    await round(20);
    const before = openFiles();
    for (let count = 0; count < 10; count++) await round(20);
    await until(() => openFiles() <= before, "all descriptors closed");
    assertEquals(zombies(), []);
  }, noProc);

  test("signals reach their handler", async () => {
    for (const name of ["SIGHUP", "SIGQUIT", "SIGTERM"] as const) {
      const caught = within(new Promise<void>((done) => runtime.onSignal(name, done)), name);
      process.kill(process.pid, name);
      await caught;
    }
  });

  const ignoring = "signals that ask for nothing are ignored, and programs have their defaults";
  test(ignoring, { skip: noProc }, async () => {
    runtime.ignoreSignals();
    const ignored = signalMask(readFileSync("/proc/self/status", "latin1"), "SigIgn");
    const numbers: Readonly<Record<string, number>> = constants.signals;
    for (const name of IGNORED) {
      const number = numbers[name] as number;
      // JavaScriptCore uses SIGPWR to stop its threads.
      if (name !== "SIGPWR") assert(ignored >> BigInt(number - 1) & 1n, name);
      process.kill(process.pid, number);
    }
    const program = runtime.spawn({ command: ["cat", "/proc/self/status"], env: {} });
    const state = text(await readAll(program.output));
    await program.exited;
    assertStrictEquals(signalMask(state, "SigIgn") & ~0x1_8000_0000n, 0n, state);
  });
}
