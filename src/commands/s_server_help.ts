/** The text of `s_server --help`. */

import { helpText } from "./help.ts";
import { S_SERVER_USAGE } from "./s_server.ts";
import { S_SERVER_OPTIONS } from "./s_server_table.ts";

/** Returns the text, which ends with a newline. Options without effect and refused ones are in the
 *  manual page. */
export function sServerHelp(): string {
  return helpText({
    usage: S_SERVER_USAGE,
    about: `Accepts TLS connections for tests, under the options of openssl s_server. What
the client sends is printed, and typed lines are sent to it. Alone on a line, Q
ends the server, q the connection, S prints statistics, and P sends plain text.
`,
    groups: S_SERVER_OPTIONS.map(({ title, options }) => ({
      title,
      options: options.filter((option) => "set" in option)
        .map((option) => ({ ...option, set: () => undefined })),
    })),
    closing: `The long options of sslserver count too (--check, --log, --metrics ...). Options
that are accepted without effect, and those that are refused, each with the
reason: --man.
`,
  });
}
