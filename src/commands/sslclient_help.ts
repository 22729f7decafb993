/** The text of `sslclient --help`. help.ts formats it. */

import { CLIENT_OPTIONS, CLIENT_USAGE } from "../config/client_table.ts";
import { helpText } from "./help.ts";

/** Returns the text, which ends with a newline. */
export function sslclientHelp(): string {
  return helpText({
    usage: CLIENT_USAGE,
    about: `Connects to host and port with TLS, verifies the server, and runs prog with
the decrypted stream on its descriptors 6 (to read) and 7 (to write).

host  a name, an address, or 0 for this machine
port  a number or a service name
`,
    groups: CLIENT_OPTIONS,
    closing: `The exit status is that of prog, 111 if there is no connection, or 100 after
wrong usage. Authorities: -a and -A, else CAFILE and CADIR, else those of the
system.
`,
  });
}
