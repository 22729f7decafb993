/** Programs as the core sees them: what one is started with, and our ends of its descriptors. */

import type { Sink, Source } from "./stream.ts";

/** Descriptors of a UCSPI-TLS program beyond 0, 1 and 2: SSLCTLFD, SSLREADFD, SSLWRITEFD. */
export const DELAYED_FD = { control: 3, read: 4, write: 5 } as const;

/** What a UCSPI-TLS program has besides the plain connection on its 0 and 1. */
export interface DelayedEnds {
  /** What the program writes to SSLCTLFD, and what goes back to it. They end apart: after
   *  `controlOutput.end()` the program reads what was written and the end of file, and can still
   *  write. */
  readonly controlInput: Source;
  readonly controlOutput: Sink;
  /** SSLREADFD and SSLWRITEFD. */
  readonly tlsInput: Sink;
  readonly tlsOutput: Source;
  /** True when something, or the end, is there to be read from SSLCTLFD. Means something while
   *  `controlInput` flows: what a paused one has taken in already is not always seen. What a flowing
   *  one has taken in is delivered before the next turn of the event loop. */
  controlReadable(): boolean;
  /** The same for the program's fd 1 and `Program.output`. */
  outputReadable(): boolean;
}

export interface Program {
  readonly pid: number;
  /** Only with `SpawnOptions.delayed`. */
  readonly delayed?: DelayedEnds;
  /** The program's fd 0. */
  readonly input: Sink;
  /** The program's fd 1. */
  readonly output: Source;
  /** Wait status: exit code × 256, or the signal's number. Resolves once, when it has been reaped;
   *  with undefined when that will not be known here (its monitor has gone before it). */
  readonly exited: Promise<number | undefined>;
  /** False: the program is gone, or the system refuses, as it does when the program has become another
   *  user (a set-user-ID file). Never throws: whoever ends programs has more of them to end. SIGTERM
   *  reaches a stopped program, too: SIGCONT follows. */
  kill(signal: "SIGTERM" | "SIGKILL"): boolean;
}

/** A program that was given its descriptors by somebody else. */
export type Launched = Pick<Program, "pid" | "exited" | "kill">;

/** Streams over our ends of a program's descriptors. */
export type ProgramStreams = Pick<Program, "input" | "output" | "delayed">;

export interface LaunchOptions {
  /** Program and arguments; see `SpawnOptions.command`. */
  command: readonly string[];
  /** What it sees as its own name; default: `command[0]`. */
  argv0?: string;
  env: Readonly<Record<string, string>>;
  /** Further variables, where `env` has none of the name. As with `command`, the same object each time
   *  is made ready for the system once, and must not change. */
  base?: Readonly<Record<string, string>>;
  /** Its descriptors 0, 1, 2, …; it gets no other. They stay open here. */
  descriptors: readonly number[];
  /** A signal that is blocked in it from the first. */
  blocked?: "SIGUSR1";
  /** Whose it becomes. Supplementary groups are cleared. Asks for root. */
  user?: { readonly uid: number | undefined; readonly gid: number | undefined };
}

export interface SpawnOptions {
  /** Program and arguments; the program is looked up in $PATH when it has no slash. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** UCSPI-TLS: three more descriptors, numbered as in `DELAYED_FD`. Needs libc. */
  delayed?: boolean;
}
