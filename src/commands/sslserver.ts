/** The command `sslserver`. server.ts runs the server. */

import { parseOptions, USAGE } from "../config/parse.ts";
import type { CommandCall } from "./command.ts";
import { runServer } from "./server.ts";

/** Runs the server to its end and returns the exit code. Never rejects. */
export function sslserver(call: CommandCall): Promise<number> {
  return runServer({
    name: "sslserver",
    usage: USAGE,
    help: async () => (await import("./sslserver_help.ts")).sslserverHelp(),
    parse: parseOptions,
  }, call);
}
