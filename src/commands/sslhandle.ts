/** The command `sslhandle`: sslserver with --handler. server.ts runs the server. */

import { parseModuleOptions, SSLHANDLE_USAGE } from "../config/parse.ts";
import type { CommandCall } from "./command.ts";
import { runServer } from "./server.ts";

/** Runs the server to its end and returns the exit code. Never rejects. */
export function sslhandle(call: CommandCall): Promise<number> {
  return runServer({
    name: "sslhandle",
    usage: SSLHANDLE_USAGE,
    help: async () => (await import("./sslserver_help.ts")).sslhandleHelp(),
    parse: parseModuleOptions,
  }, call);
}
