/** The command `sslconnect`: a conversation with a server by standard input and output.
 *  small_client.ts has the rest. */

import { talkToServer } from "../client/conversations.ts";
import type { CommandCall } from "./command.ts";
import { smallClient } from "./small_client.ts";

/** Runs the client to its end and returns the exit code. Never rejects. */
export function sslconnect(call: CommandCall): Promise<number> {
  return smallClient({
    name: "sslconnect",
    operands: ["host", "port"],
    about: `Connects to host and port with TLS and verifies the server. Sends standard
input with CR LF at line ends. Prints what the server sends.

host  a name, an address, or 0 for this machine (0)
port  a number or a service name (443)
`,
    talk: (connection, _operands, print) => talkToServer(connection, call.stdin, print),
  }, call);
}
