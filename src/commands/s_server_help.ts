/** The text of `s_server --help`. */

import { helpText } from "./help.ts";
import { S_SERVER_USAGE } from "./s_server.ts";
import { S_SERVER_OPTIONS } from "./s_server_table.ts";

/** Returns the text, which ends with a newline. Options without effect and refused ones are in the
 *  manual page. */
export function sServerHelp(): string {
  return helpText({
    usage: S_SERVER_USAGE,
    about: `Accepts TLS connections for tests, with the options of openssl s_server. Prints
what the client sends, and sends typed lines to the client. A line with only one
of these letters is a command:

Q  end the server        S  print statistics
q  end the connection    P  send plain text
`,
    groups: S_SERVER_OPTIONS.map(({ title, options }) => ({
      title,
      options: options.filter((option) => "set" in option)
        .map((option) => ({ ...option, set: () => undefined })),
    })).filter(({ options }) => options.length > 0),
    closing: `The long options of sslserver also work, for example --check, --log and
--metrics. s_server --man lists the options of OpenSSL that have no effect, and
those that are refused.
`,
  });
}
