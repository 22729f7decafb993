/** What becomes of errors that nothing else has caught. */

import process from "node:process";

/** Logs errors that nothing else has caught: a bug in one connection's callback must not end all
 *  connections. */
export function logInternalErrors(log: { error(text: string): void }): void {
  const report = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    log.error(`internal error, please report it: ${stack.replaceAll(/\s+/g, " ")}`);
  };
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}
