/** Signals and wait status of child processes, for every way of starting them. */

import { constants } from "node:os";
import type { ProgramSignal } from "./program.ts";

/** Sends `signal` with `send`. A stopped program gets SIGTERM only when it continues, so SIGCONT
 *  follows. False: the signal was not sent (the child has been reaped; EPERM for a set-user-ID
 *  program). */
export function signalChild(
  signal: ProgramSignal,
  send: (signal: ProgramSignal | "SIGCONT") => void,
): boolean {
  try {
    send(signal);
    if (signal === "SIGTERM") send("SIGCONT");
    return true;
  } catch {
    return false;
  }
}

/** The wait status: exit code × 256, or the signal's number. */
export function waitStatus(code: number | null, signal: string | null): number {
  if (signal) return (constants.signals as Record<string, number>)[signal] ?? 0;
  return (code ?? 0) * 256;
}
