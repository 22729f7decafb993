/** Programs on Bun: real pipes made by libc (Bun's own "pipe" is a socketpair, which a program
 *  cannot open as /dev/stdin). Our ends of them: pipe.ts. */

import { constants } from "node:os";
import process from "node:process";
import { PipeSink, PipeSource } from "./pipe.ts";
import { tidyLater, tidyLess } from "./gc.ts";
import { bun } from "./types.ts";
import { keepDescriptors } from "../libc/inherited.ts";
import { Launcher } from "../launcher.ts";
import type { Libc } from "../libc/libc.ts";
import { closeAll, programDescriptors, programPipes } from "../program_pipes.ts";
import type { Launched, LaunchOptions, Program, ProgramEnds, SpawnOptions } from "../runtime.ts";

/** Programs by libc. What was inherited is kept from them: Bun does so only for its own. */
export function bunLauncher(libc: Libc): Launcher {
  let kept = false;
  return new Launcher(libc, {
    lookUp,
    watch(handler, on) {
      if (!kept) keepDescriptors(libc);
      kept = true;
      if (on) process.on("SIGCHLD", handler);
      else process.off("SIGCHLD", handler);
    },
  });
}

/** See `Runtime.launch`. */
export function launch(launcher: Launcher, options: LaunchOptions): Launched {
  const launched = options.user
    ? launcher.libc.withFirstFileLimit(() => launchAs(launcher, options))
    : launcher.launch(options);
  tidyLater();
  launched.exited.then(tidyLess);
  return launched;
}

/** As another user, which libc cannot do. */
function launchAs(
  launcher: Launcher,
  { command, argv0, env, base, descriptors, user }: LaunchOptions,
): Launched {
  const [name = "", ...args] = command;
  const child = bun.spawn([lookUp(name), ...args], {
    argv0: argv0 ?? name,
    env: { ...base, ...env },
    stdio: [...descriptors],
    ...(user?.uid === undefined ? {} : { uid: user.uid }),
    ...(user?.gid === undefined ? {} : { gid: user.gid }),
  });
  launcher.leave(child.pid, child.exited);
  return {
    pid: child.pid,
    exited: child.exited.then(() => waitStatus(child.exitCode, child.signalCode)),
    kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return false;
      try {
        child.kill(signal);
        if (signal === "SIGTERM") child.kill("SIGCONT"); // a stopped program takes it when it goes on
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** See `Runtime.spawn`. */
export function spawn(launcher: Launcher, options: SpawnOptions): Program {
  const { command, env, delayed = false } = options;
  const { libc } = launcher;
  const { mine, theirs } = programPipes(libc, delayed);
  try {
    const launched = launcher.launch({ command, env, descriptors: programDescriptors(theirs) });
    return { ...launched, ...adoptEnds(libc, mine) };
  } catch (error) {
    closeAll(libc, mine);
    throw error;
  } finally {
    closeAll(libc, theirs);
  }
}

/** See `Runtime.adoptEnds`. */
export function adoptEnds(libc: Libc, fds: readonly number[]): ProgramEnds {
  const [input, output, control, ...tls] = fds as [number, number, ...number[]];
  // First what can fail: the streams below close what they have.
  const controls = control === undefined ? undefined : controlEnds(libc, control);
  const source = new PipeSource(output, libc);
  const ends = { input: new PipeSink(input, libc), output: source };
  if (!controls) return ends;
  const [tlsInput, tlsOutput] = tls as [number, number];
  const controlInput = new PipeSource(controls.read, libc);
  return {
    ...ends,
    delayed: {
      controlInput,
      controlOutput: new PipeSink(controls.write, { close: (fd) => closeOutput(libc, fd) }),
      tlsInput: new PipeSink(tlsInput, libc),
      tlsOutput: new PipeSource(tlsOutput, libc),
      controlReadable: () => controlInput.readable(),
      outputReadable: () => source.readable(),
    },
  };
}

/** Each direction of the control socket has its own end, driven by readiness. */
function controlEnds(libc: Libc, control: number): { read: number; write: number } {
  libc.setNonBlocking(control, true);
  return { read: control, write: libc.dup(control) };
}

/** Of a socket that has another descriptor here: closing alone would not tell the program its end. */
function closeOutput(libc: Libc, fd: number): void {
  try {
    libc.endOutput(fd);
  } finally {
    libc.close(fd);
  }
}

/** In the server's $PATH. Bun would take the program's own, which a rule can set. */
function lookUp(name: string): string {
  if (name.includes("/")) return name;
  const path = bun.which(name, { PATH: process.env["PATH"] ?? "/usr/bin:/bin" });
  if (path !== null) return path;
  throw Object.assign(new Error("not found in PATH"), { code: "ENOENT" });
}

function waitStatus(code: number | null, signal: string | null): number {
  if (signal) return (constants.signals as Record<string, number>)[signal] ?? 0;
  return (code ?? 0) * 256;
}
