/** Loads the handler that serves connections in place of a program. Only the code of that handler
 *  is loaded. */

import type { Options } from "../config/options.ts";
import { type ConnectionHandler, connectionHandler } from "../program/handler.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ModuleHandler } from "./module.ts";

/** A handler that is ready to serve. */
export interface LoadedHandler {
  readonly handler: ConnectionHandler | undefined;
  /** The descriptor of the folder of --files. The process must still be able to read files below
   *  it, and no others. */
  readonly folder?: number | undefined;
  /** The module of --handler, to be loaded when the process has its final rights. */
  readonly module?: ModuleHandler;
}

/** Loads the handler of the options. Must be called before the process gives up its rights. Rejects
 *  with `FatalError` if the folder cannot be opened. */
export async function loadHandler(
  { handler: choice, command }: Pick<Options, "handler" | "command">,
  runtime: Pick<Runtime, "libc" | "name">,
): Promise<LoadedHandler> {
  switch (choice?.kind) {
    case undefined:
      return { handler: undefined };
    case "echo":
      return { handler: (await import("./echo.ts")).echo };
    case "www":
      return { handler: (await import("./www.ts")).www };
    case "files": {
      const { openFolder } = await import("./folder.ts");
      const { filesHandler } = await import("./files.ts");
      const folder = openFolder(choice.folder, runtime);
      return { handler: connectionHandler(filesHandler(folder)), folder: folder.descriptor };
    }
    case "answers": {
      const { openFolder } = await import("./folder.ts");
      const { answersHandler } = await import("./answers.ts");
      const folder = openFolder(choice.folder, runtime);
      return { handler: connectionHandler(answersHandler(folder)), folder: folder.descriptor };
    }
    case "reverse": {
      const { reverseHandler } = await import("./reverse.ts");
      return { handler: connectionHandler(reverseHandler) };
    }
    case "terminal":
      return { handler: undefined }; // the command has it
    case "handler": {
      const { ModuleHandler } = await import("./module.ts");
      const module = new ModuleHandler(choice.file, command, runtime);
      return { handler: module.handler, module };
    }
  }
}
