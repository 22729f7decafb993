/** The command `sslclient`: a TLS connection for a program. client.ts runs the client. */

import { CLIENT_USAGE, parseClient } from "../config/client_table.ts";
import { runClient } from "./client.ts";
import type { CommandCall } from "./command.ts";

/** Runs the client to its end and returns the exit code. Never rejects. */
export function sslclient(call: CommandCall): Promise<number> {
  return runClient({
    name: "sslclient",
    usage: CLIENT_USAGE,
    help: async () => (await import("./sslclient_help.ts")).sslclientHelp(),
    parse: parseClient,
  }, call);
}
