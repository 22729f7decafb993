/** The texts of `sslserver --help` and `sslhandle --help`. help.ts formats them. */

import { OPTIONS } from "../config/option_table.ts";
import { moduleOptions, SSLHANDLE_USAGE, USAGE } from "../config/parse.ts";
import { helpText } from "./help.ts";

/** Returns the text, which ends with a newline. */
export function sslserverHelp(): string {
  return helpText({
    usage: USAGE,
    about: `Accepts TLS connections on host and port and runs prog for each. The program
has the decrypted stream on descriptors 0 and 1.

host  0 (all IPv4), :: (all IPv6), :0 (both), an address, or a name
port  a number, 0 for any free one, or a service name
`,
    groups: OPTIONS,
    closing: `Certificate and key: CERTFILE and KEYFILE in the environment (PEM files).

This executable contains other commands. Each has its own --help:
  s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@
  tcprules tcprulescheck
`,
  });
}

/** Returns the text for sslhandle. */
export function sslhandleHelp(): string {
  return helpText({
    usage: SSLHANDLE_USAGE,
    about: `Accepts TLS connections on host and port. For each connection, calls the default
export of module. The server is a single process.

host    0 (all IPv4), :: (all IPv6), :0 (both), an address, or a name
port    a number, 0 for any free one, or a service name
module  a TypeScript or JavaScript file: export default async (conn) => { ... }
`,
    groups: moduleOptions(),
    closing: "Certificate and key: CERTFILE and KEYFILE in the environment (PEM files).\n",
  });
}
