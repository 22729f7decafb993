/** What is printed in place of serving: help, version, manual pages, completions. Each is loaded
 *  only when it is asked for, so that it does not slow down a start. */

import type { Print } from "../config/options.ts";
import { writeStdout } from "../log/output.ts";
import { VERSION } from "../version.ts";

/** Prints to stdout. */
export async function print(request: Print): Promise<void> {
  writeStdout(await textOf(request));
}

async function textOf(request: Print): Promise<string> {
  switch (request.print) {
    case "help":
      return (await import("./help.ts")).helpText();
    case "version":
      return `sslserver ${VERSION}\n`;
    case "manual":
      return await (await import("./manual.ts")).manual(request.page);
    case "completion":
      return (await import("./completion.ts")).completionScript(request.shell);
  }
}
