/** The command `https@`: prints a page of a web server. small_client.ts has the rest. */

import { printPage } from "../client/conversations.ts";
import { pageRequest } from "../codec/http_message.ts";
import { reason, UsageError } from "../errors.ts";
import type { CommandCall } from "./command.ts";
import { type Operands, smallClient } from "./small_client.ts";

/** Runs the client to its end and returns the exit code. Never rejects. */
export function httpsAt(call: CommandCall): Promise<number> {
  return smallClient({
    name: "https@",
    operands: ["host", "page", "port"],
    about: `Connects to host and port with TLS and verifies the server. Asks for /page.
Prints the body of the answer without the CR at line ends.

host  a name, an address, or 0 for this machine (0)
page  the path without its first slash (empty)
port  a number or a service name (443)
`,
    check: request,
    talk: (connection, operands, print) => printPage(connection, request(operands), print),
  }, call);
}

/** The request. Throws `UsageError`. */
function request({ host, page }: Operands): Uint8Array {
  try {
    return pageRequest(host === "0" ? "localhost" : host, page);
  } catch (error) {
    throw new UsageError(`unable to ask for the page: ${reason(error)}`, "write a space as %20");
  }
}
