/** The text of `sslclient --help`. help.ts formats it. */

import { CLIENT_OPTIONS, CLIENT_USAGE } from "../config/client_table.ts";
import { helpText } from "./help.ts";

/** Returns the text, which ends with a newline. */
export function sslclientHelp(): string {
  return helpText({
    usage: CLIENT_USAGE,
    about: `Connects to host and port with TLS, verifies the server, and runs prog. The
program reads from descriptor 6 and writes to descriptor 7.

host  a name, an address, or 0 for this machine
port  a number or a service name
`,
    groups: CLIENT_OPTIONS,
    closing: `Exit status: that of prog, 111 without a connection, 100 for wrong usage.
Trusted authorities: those of -a and -A. Without these options, those of CAFILE
and CADIR. Without these variables, those of the system.
`,
  });
}
