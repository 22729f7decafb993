/** The text of --help, from the table of options: at most 80 columns wide. */

import { OPTIONS } from "../config/option_table.ts";
import { USAGE } from "../config/parse.ts";

const WIDTH = 17;

/** Returns the text, which ends with a newline. */
export function helpText(): string {
  const groups = OPTIONS.map(({ title, options }) => {
    const lines = options.map(({ name, value, help }) => {
      const left = value === undefined ? name : `${name} ${value}`;
      return left.length > WIDTH
        ? `  ${left}\n  ${" ".repeat(WIDTH)}  ${help}`
        : `  ${left.padEnd(WIDTH)}  ${help}`;
    });
    return `${title}:\n${lines.join("\n")}\n`;
  });
  return `usage: ${USAGE}

Accepts TLS connections on host and port and runs prog for each, with the
decrypted stream on its descriptors 0 and 1.

host  0 (all IPv4), :: (all IPv6), :0 (both), an address, or a name
port  a number, 0 for any free one, or a service name

${groups.join("\n")}
Certificate and key: CERTFILE and KEYFILE in the environment (PEM files).
`;
}
