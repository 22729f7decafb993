/** Children, however they were started: their signals and their wait status. */

import { constants } from "node:os";

/** Sends `signal` with `send`. A program that is stopped takes SIGTERM when it goes on, so SIGCONT follows.
 *  False: it was not sent (the child has been reaped; EPERM: a set-user-ID program). */
export function signalChild(
  signal: "SIGTERM" | "SIGKILL",
  send: (signal: "SIGTERM" | "SIGKILL" | "SIGCONT") => void,
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
