/** Programs on Bun: real pipes made by libc (Bun's own "pipe" is a socketpair, which a program
 *  cannot open as /dev/stdin). Our ends of them: pipe.ts. */

import process from "node:process";
import { PipeSink, PipeSource } from "./pipe.ts";
import { connectionBegan, connectionEnded } from "./gc.ts";
import { bun } from "./types.ts";
import { signalChild, waitStatus } from "../child.ts";
import { keepDescriptors } from "../libc/inherited.ts";
import { Launcher } from "../launcher.ts";
import type { Libc } from "../libc/libc.ts";
import { lookUp } from "../look_up.ts";
import { spawnByLibc } from "../program_pipes.ts";
import type { Launched, LaunchOptions, Program, ProgramStreams, SpawnOptions } from "../runtime.ts";

/** A launcher that starts programs with libc. Inherited descriptors are marked close-on-exec first:
 *  Bun keeps them only from the programs that it starts itself. */
export function bunLauncher(libc: Libc): Launcher {
  let kept = false;
  return new Launcher(libc, (handler, on) => {
    if (!kept) keepDescriptors(libc);
    kept = true;
    if (on) process.on("SIGCHLD", handler);
    else process.off("SIGCHLD", handler);
  });
}

/** See `Runtime.launch`. */
export function launch(launcher: Launcher, options: LaunchOptions): Launched {
  const launched = options.user
    ? launcher.libc.withFirstFileLimit(() => launchAs(launcher, options))
    : launcher.launch(options);
  connectionBegan();
  launched.exited.then(connectionEnded);
  return launched;
}

/** Starts a program as another user, which our libc calls cannot do. */
function launchAs(
  launcher: Launcher,
  { command, argv0, env, base, descriptors, user }: LaunchOptions,
): Launched {
  const [name = "", ...args] = command;
  const child = bun.spawn([lookUp(name), ...args], {
    argv0: argv0 ?? name,
    env: { ...base, ...env },
    stdio: descriptors.map((fd) => fd ?? null),
    ...(user?.uid === undefined ? {} : { uid: user.uid }),
    ...(user?.gid === undefined ? {} : { gid: user.gid }),
  });
  launcher.leave(child.pid, child.exited);
  return {
    pid: child.pid,
    exited: child.exited.then(() => waitStatus(child.exitCode, child.signalCode)),
    kill: (signal) =>
      child.exitCode === null && child.signalCode === null &&
      signalChild(signal, (name) => child.kill(name)),
  };
}

/** See `Runtime.spawn`. */
export function spawn(launcher: Launcher, options: SpawnOptions): Program {
  return spawnByLibc(launcher, options, adoptEnds);
}

/** See `Runtime.adoptEnds`. */
export function adoptEnds(libc: Libc, fds: readonly number[]): ProgramStreams {
  const [input, output, control, ...tls] = fds as [number, number, ...number[]];
  // First the call that can fail: the streams below close their descriptors.
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

/** Makes the control socket non-blocking, and gives each direction its own descriptor. */
function controlEnds(libc: Libc, control: number): { read: number; write: number } {
  libc.setNonBlocking(control, true);
  return { read: control, write: libc.dup(control) };
}

/** Shuts down the output of the control socket, and closes `fd`. The socket's other descriptor is
 *  still open here, so closing `fd` alone would send no end of file. */
function closeOutput(libc: Libc, fd: number): void {
  try {
    libc.endOutput(fd);
  } finally {
    libc.close(fd);
  }
}
