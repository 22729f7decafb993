/** Programs, as the code above the adapters sees them: the options of a start, and our ends of a
 *  program's descriptors. */

import type { Sink, Source } from "./stream.ts";

/** Descriptors of a UCSPI-TLS program beyond 0, 1 and 2: SSLCTLFD, SSLREADFD, SSLWRITEFD. */
export const DELAYED_FD = { control: 3, read: 4, write: 5 } as const;

/** Our ends of the further descriptors of a UCSPI-TLS program. */
export interface DelayedEnds {
  /** The two directions of SSLCTLFD: what the program writes, and what it reads. They end
   *  separately: after `controlOutput.end()` the program reads what was written and then end of
   *  file, and can still write. */
  readonly controlInput: Source;
  readonly controlOutput: Sink;
  /** The program reads from SSLREADFD what is written to `tlsInput`, and writes `tlsOutput` to
   *  SSLWRITEFD. */
  readonly tlsInput: Sink;
  readonly tlsOutput: Source;
  /** True if bytes or end of file can be read from SSLCTLFD. Valid only while `controlInput` is not
   *  paused: bytes that a paused stream has already read are not always seen. A flowing stream
   *  delivers what it has read before the next turn of the event loop. */
  controlReadable(): boolean;
  /** The same for the program's descriptor 1 and `Program.output`. */
  outputReadable(): boolean;
}

export interface Program {
  readonly pid: number;
  /** Only with `SpawnOptions.delayed`. */
  readonly delayed?: DelayedEnds;
  /** The program's descriptor 0. */
  readonly input: Sink;
  /** The program's descriptor 1. */
  readonly output: Source;
  /** Resolves with the wait status when the program has been reaped: exit code × 256, or the
   *  signal's number. Resolves with undefined if the status cannot be known, because the monitor
   *  exited first. */
  readonly exited: Promise<number | undefined>;
  /** False: the program has ended, or the system refuses, as for a set-user-ID program. Never
   *  throws, so that a caller can end many programs in a loop. SIGTERM also reaches a stopped
   *  program, because SIGCONT follows. */
  kill(signal: "SIGTERM" | "SIGKILL"): boolean;
}

/** A program whose descriptors the caller made. */
export interface Launched extends Pick<Program, "pid" | "exited"> {
  /** See `Program.kill`. */
  kill(signal: ProgramSignal): boolean;
}

/** The signals that a program can be sent. */
export type ProgramSignal = "SIGTERM" | "SIGKILL" | "SIGINT" | "SIGHUP" | "SIGQUIT";

/** Streams over our ends of a program's descriptors. */
export type ProgramStreams = Pick<Program, "input" | "output" | "delayed">;

export interface LaunchOptions {
  /** Program and arguments; see `SpawnOptions.command`. */
  command: readonly string[];
  /** The program's argv[0]; default: `command[0]`. */
  argv0?: string;
  env: Readonly<Record<string, string>>;
  /** Further variables; those of `env` win. Pass the same object each time, and do not change it:
   *  it is converted for the system only once. The same holds for `command`. */
  base?: Readonly<Record<string, string>>;
  /** The program's descriptors 0, 1, 2, …; it gets no others, and not those that are undefined. They
   *  stay open in this process. */
  descriptors: readonly (number | undefined)[];
  /** A signal that is blocked in the program from its start. */
  blocked?: "SIGUSR1";
  /** User and group of the program. Supplementary groups are cleared. Needs root. */
  user?: { readonly uid: number | undefined; readonly gid: number | undefined };
}

export interface SpawnOptions {
  /** Program and arguments; the program is looked up in $PATH when it has no slash. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** UCSPI-TLS: three more descriptors, numbered as in `DELAYED_FD`. Needs libc. */
  delayed?: boolean;
}
