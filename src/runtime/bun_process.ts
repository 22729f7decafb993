/** Programs on Bun: real pipes made by libc (Bun's own "pipe" is a socketpair, which a program
 *  cannot open as /dev/stdin). Our ends of them: bun_pipe.ts. */

import { constants } from "node:os";
import { env } from "node:process";
import { PipeSink, PipeSource } from "./bun_pipe.ts";
import { bun } from "./bun_types.ts";
import type { Libc } from "./libc.ts";
import type { DelayedEnds, Program, SpawnOptions } from "./runtime.ts";

/** See `Runtime.spawn`. */
export function spawn(libc: Libc, options: SpawnOptions): Program {
  const mine: number[] = [];
  const theirs: number[] = [];
  const close = (fds: number[]): void => fds.forEach((fd) => libc.close(fd));
  /** A pipe, one end for the program, the other for us. */
  const pipe = (reads: "program" | "server"): void => {
    const [read, write] = libc.pipe();
    theirs.push(reads === "program" ? read : write);
    mine.push(reads === "program" ? write : read);
  };
  let child;
  try {
    pipe("program");
    pipe("server");
    if (options.delayed) {
      const [ours, control] = libc.socketpair("stream");
      mine.push(ours);
      theirs.push(control);
      mine.push(libc.dup(ours)); // by itself: it may throw
      pipe("program");
      pipe("server");
    }
    const [zero, one, ...more] = theirs as [number, number, ...number[]];
    const [name = "", ...args] = options.command;
    child = bun.spawn([lookUp(name), ...args], {
      argv0: name,
      env: options.env,
      stdio: [zero, one, 2, ...more],
    });
  } catch (error) {
    close(mine);
    throw error;
  } finally {
    close(theirs);
  }
  const process = child;
  const [input, output, controlRead, controlWrite, tlsInput, tlsOutput] = mine as [
    number,
    number,
    number?,
    number?,
    number?,
    number?,
  ];
  const source = new PipeSource(output, libc);
  return {
    pid: process.pid,
    input: new PipeSink(input, libc),
    output: source,
    exited: process.exited.then(() => waitStatus(process.exitCode, process.signalCode)),
    kill(signal) {
      if (process.exitCode !== null || process.signalCode !== null) return false;
      process.kill(signal);
      return true;
    },
    ...(options.delayed
      ? { delayed: delayedEnds(libc, source, [controlRead, controlWrite, tlsInput, tlsOutput]) }
      : {}),
  };
}

/** In the server's $PATH. Bun would take the program's own, which a rule can set. */
function lookUp(name: string): string {
  if (name.includes("/")) return name;
  const path = bun.which(name, { PATH: env["PATH"] ?? "/usr/bin:/bin" });
  if (path !== null) return path;
  throw Object.assign(new Error("not found in PATH"), { code: "ENOENT" });
}

function delayedEnds(
  libc: Libc,
  output: PipeSource,
  [controlRead, controlWrite, tlsInput, tlsOutput]: (number | undefined)[],
): DelayedEnds {
  // Both ends of the control socket are ours to drive by readiness.
  libc.setNonBlocking(controlRead as number, true);
  const controlInput = new PipeSource(controlRead as number, libc);
  return {
    controlInput,
    controlOutput: new PipeSink(controlWrite as number, libc),
    tlsInput: new PipeSink(tlsInput as number, libc),
    tlsOutput: new PipeSource(tlsOutput as number, libc),
    controlReadable: () => controlInput.readable(),
    outputReadable: () => output.readable(),
  };
}

function waitStatus(code: number | null, signal: string | null): number {
  if (signal) return (constants.signals as Record<string, number>)[signal] ?? 0;
  return (code ?? 0) * 256;
}
