/** The handling of errors that nothing else has caught. */

import process from "node:process";
import { textOf } from "../errors.ts";

/** Logs errors that nothing else has caught: a bug in one connection's callback must not end all
 *  connections. `what`: the beginning of the lines. */
export function logInternalErrors(
  log: { error(text: string): void },
  what = "internal error, please report it",
): void {
  const report = (error: unknown): void => {
    const stack = textOf(error, (known) => known.stack ?? known.message);
    log.error(`${what}: ${stack.replaceAll(/\s+/g, " ")}`);
  };
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}
