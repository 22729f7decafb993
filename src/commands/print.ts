/** What a command prints instead of doing its work: help, version, manual pages, examples, completions. Each
 *  is loaded only when it is asked for, so that it does not slow down a start. */

import type { Print } from "../config/options.ts";
import { writeStdout } from "../log/output.ts";
import { VERSION } from "../version.ts";

/** The command that prints. */
export interface Printing {
  readonly name: string;
  /** Returns the text of --help, which ends with a newline. */
  readonly help: () => Promise<string>;
}

/** Prints to stdout. */
export async function print(request: Print, command: Printing): Promise<void> {
  writeStdout(await textOf(request, command));
}

async function textOf(request: Print, { name, help }: Printing): Promise<string> {
  switch (request.print) {
    case "help":
      return await help();
    case "version":
      return `${name} ${VERSION}\n`;
    case "manual":
      return await (await import("./manual.ts")).manual(request.page);
    case "example":
      return await (await import("./examples.ts")).example(request.name);
    case "completion":
      return (await import("./completion.ts")).completionScript(request.shell);
  }
}
