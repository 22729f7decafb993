/** Signals that a server ignores. By default they end the process, but they neither ask a server for anything
 *  nor report a fault of it. A signal that is sent by mistake must not end all connections.
 *
 *  The other signals keep their default actions: signals that report a fault (SIGABRT, SIGSEGV, …), signals
 *  of job control, and SIGXCPU, which ends a process at the administrator's limit on CPU time. */

import { constants } from "node:os";
import { latin1 } from "../../codec/bytes.ts";
import { readOwn } from "./inherited.ts";
import type { Libc } from "./libc.ts";

/** Signals that the server ignores. SIGXFSZ: at the limit of file sizes, a write to the log must fail
 *  and not end the process. SIGIO is SIGPOLL. */
export const IGNORED = [
  "SIGUSR1",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGXFSZ",
  "SIGIO",
  "SIGSTKFLT",
  "SIGPWR",
] as const;

/** Real-time signals of Linux that the C libraries leave to programs: musl keeps 34, glibc starts there. */
const REAL_TIME = { first: 35, last: 64 };

/** The names of the signals that were ignored when this process started, as under nohup(1) or in a
 *  background job of a script; without `ours`, which the runtime itself ignores. Call it before any
 *  signal is handled. Empty if the system does not tell. */
export function ignoredAtStart(libc: Libc, ours: readonly string[]): string[] {
  const status = latin1(readOwn(libc, "status") ?? new Uint8Array(0));
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (mask === undefined) return [];
  const bits = BigInt(`0x${mask}`);
  return Object.entries(constants.signals)
    .filter(([name, number]) => !ours.includes(name) && (bits >> BigInt(number - 1) & 1n) === 1n)
    .map(([name]) => name)
    .filter((name) => !ALIASES.includes(name));
}

/** Second names of a signal. */
const ALIASES = ["SIGIOT", "SIGPOLL", "SIGCLD"];

/** Ignores all of them except `not`, by libc, because neither runtime can listen for all. The code
 *  that starts programs resets them to their defaults, which exec would not do. */
export function ignoreSignals(libc: Libc, not: readonly string[] = []): void {
  const numbers = constants.signals as Readonly<Record<string, number>>;
  for (const name of IGNORED) {
    const number = numbers[name]; // macOS has not all of them
    if (number !== undefined && !not.includes(name)) libc.ignoreSignal(number);
  }
  if (!libc.confines) return;
  for (let number = REAL_TIME.first; number <= REAL_TIME.last; number++) libc.ignoreSignal(number);
}
