/** The handling of errors that nothing else has caught. */

import process from "node:process";

/** Logs errors that nothing else has caught: a bug in one connection's callback must not end all
 *  connections. `what`: the beginning of the lines. */
export function logInternalErrors(
  log: { error(text: string): void },
  what = "internal error, please report it",
): void {
  const report = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    log.error(`${what}: ${stack.replaceAll(/\s+/g, " ")}`);
  };
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}
