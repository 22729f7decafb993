/** Loads what serves connections in place of a program. Only the one that is asked for is read. */

import type { Options } from "../config/options.ts";
import type { HandlerStart } from "../program/handler.ts";

/** Returns undefined if there is a program. */
export async function loadHandler(
  { handler }: Pick<Options, "handler">,
): Promise<HandlerStart | undefined> {
  switch (handler?.kind) {
    case undefined:
      return undefined;
    case "echo":
      return (await import("./echo.ts")).echo;
  }
}
