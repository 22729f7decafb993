/** What every command gets: its arguments, environment, streams and runtime. cli.ts chooses the
 *  command. */

import type { Env } from "../config/variables.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Runs a command to its end and returns the exit code. Never rejects. */
export type Command = (call: CommandCall) => Promise<number>;

/** One call of a command. `stdout` and `stderr` write text as it is, with its newlines. */
export interface CommandCall {
  /** The arguments after the name. */
  readonly argv: readonly string[];
  readonly env: Env;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Writes bytes to stdout; resolves when they are written. Rejects with the system's error. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** The module that was run, for processes that must run it again. */
  readonly main: string;
  /** Loads the adapter on first use. Some commands need none. */
  readonly runtime: () => Promise<Runtime>;
}
