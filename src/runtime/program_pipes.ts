/** The pipes between a program and the server. The process that starts the program makes them
 *  first, and may pass our ends to a worker (privsep/). Common to both runtimes. */

import type { Launcher } from "./launcher.ts";
import type { Libc } from "./libc/libc.ts";
import type { Program, ProgramStreams, SpawnOptions } from "./runtime.ts";

/** Descriptors by number, all closed on exec. */
export interface ProgramPipes {
  /** The program's descriptors 0 and 1, and with UCSPI-TLS its 3, 4 and 5 (`DELAYED_FD`), without
   *  2. */
  readonly theirs: number[];
  /** Our ends, in the same order: input, output, and control, input and output for TLS. */
  readonly mine: number[];
}

/** Number of our ends, without and with UCSPI-TLS. */
export const PIPE_ENDS = { plain: 2, delayed: 5 } as const;

/** Number of descriptors that our ends use: the control socket has one for each direction. */
export const PIPE_DESCRIPTORS = { plain: PIPE_ENDS.plain, delayed: PIPE_ENDS.delayed + 1 } as const;

/** Pipes that a monitor makes for a worker before it asks for their programs, so that a connection does
 *  not wait for its program. */
export const AHEAD = {
  /** How many programs' pipes come in one message. */
  batch: 8,
  /** A worker asks for more when it has this many left. */
  low: 3,
  /** A worker has at most `batch` + `low`. The monitor keeps more, and then closes the oldest: they were
   *  lost on the way. */
  kept: 16,
  /** Descriptors of each process for them. */
  descriptors: 2 * (8 + 3),
  /** A worker that may have fewer open files asks for none. */
  leastLimit: 1024,
} as const;

/** Throws SystemError; then no descriptor is left open. */
export function programPipes(libc: Libc, delayed: boolean): ProgramPipes {
  const mine: number[] = [];
  const theirs: number[] = [];
  const pipe = (reads: "program" | "server"): void => {
    const [read, write] = libc.pipe();
    theirs.push(reads === "program" ? read : write);
    mine.push(reads === "program" ? write : read);
  };
  try {
    pipe("program");
    pipe("server");
    if (delayed) {
      const [ours, control] = libc.socketpair("stream");
      mine.push(ours);
      theirs.push(control);
      libc.refuseDescriptors(ours);
      pipe("program");
      pipe("server");
    }
    return { mine, theirs };
  } catch (error) {
    closeAll(libc, [...mine, ...theirs]);
    throw error;
  }
}

/** Returns the program's descriptors 0, 1, 2, …: those of the pipes, and the server's stderr as
 *  2. */
export function programDescriptors([zero, one, ...more]: readonly number[]): number[] {
  return [zero as number, one as number, 2, ...more];
}

/** Starts a program with such pipes; `adopt` makes streams over our ends. See `Runtime.spawn`. */
export function spawnByLibc(
  launcher: Launcher,
  { command, env, delayed = false }: SpawnOptions,
  adopt: (libc: Libc, fds: readonly number[]) => ProgramStreams,
): Program {
  const { libc } = launcher;
  const { mine, theirs } = programPipes(libc, delayed);
  try {
    const launched = launcher.launch({ command, env, descriptors: programDescriptors(theirs) });
    return { ...launched, ...adopt(libc, mine) };
  } catch (error) {
    closeAll(libc, mine);
    throw error;
  } finally {
    closeAll(libc, theirs);
  }
}

export function closeAll(libc: Libc, fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd);
}
