/** Reports why a server cannot start. */

import type { Options } from "../config/options.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";
import { Log } from "../log.ts";
import type { ServerName } from "./server.ts";

/** Logs an error, and the usage if the arguments are wrong. Returns the exit code. `options` are
 *  undefined if they could not be read. */
export async function reportFatal(
  error: unknown,
  name: Pick<ServerName, "name" | "usage">,
  options: Options | undefined,
  log = new Log({
    verbosity: options?.verbosity ?? 1,
    form: options?.log ?? "text",
    name: name.name,
  }),
): Promise<number> {
  try {
    if (!(error instanceof FatalError)) {
      log.fatal(`unable to continue: ${reason(error)}`);
      return EXIT.system;
    }
    log.fatal(error.message, error.hint);
    if (error instanceof UsageError) log.usage(name.usage);
    return error.code;
  } finally {
    await log.finish();
  }
}
