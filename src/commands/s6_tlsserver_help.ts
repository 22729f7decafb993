/** The text of `s6-tlsserver --help`. help.ts formats it. */

import { helpText } from "./help.ts";
import { S6_USAGE } from "./s6_tlsserver.ts";
import { S6_OPTIONS } from "./s6_tlsserver_options.ts";

/** Returns the text, which ends with a newline. */
export function s6Help(): string {
  return helpText({
    usage: S6_USAGE,
    about: `Accepts TLS connections on ip and port and runs prog for each. The options and
variables are those of s6-tlsserver in s6-networking.

ip    an address: 0.0.0.0 (all IPv4) or :: (all IPv6)
port  a number, 0 for any free one
`,
    groups: S6_OPTIONS,
    closing: `Certificate and key: CERTFILE and KEYFILE in the environment (PEM or DER).
`,
  });
}
