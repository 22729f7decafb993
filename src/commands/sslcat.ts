/** The command `sslcat`: prints what a server sends. small_client.ts has the rest. */

import { printAll } from "../client/conversations.ts";
import type { CommandCall } from "./command.ts";
import { smallClient } from "./small_client.ts";

/** Runs the client to its end and returns the exit code. Never rejects. */
export function sslcat(call: CommandCall): Promise<number> {
  return smallClient({
    name: "sslcat",
    operands: ["host", "port"],
    about: `Connects to host and port with TLS and verifies the server. Prints what the
server sends, and sends nothing.

host  a name, an address, or 0 for this machine (0)
port  a number or a service name (443)
`,
    talk: (connection, _operands, print) => printAll(connection, print),
  }, call);
}
