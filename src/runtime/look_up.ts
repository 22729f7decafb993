/** The search for a program in $PATH. */

import { accessSync, constants, statSync } from "node:fs";
import process from "node:process";

/** Where programs are looked for if $PATH is not set. */
export const DEFAULT_PATH = "/usr/bin:/bin";

/** Returns the path of `name` in the server's $PATH; a name with a slash is returned as it is. Both
 *  runtimes would search the program's $PATH, which access rules can set, so that an author of
 *  rules could choose the program. Throws an Error with `code` ENOENT or EACCES. */
export function lookUp(name: string): string {
  if (name === "") throw withCode("ENOENT", "no program");
  if (name.includes("/")) return name;
  let denied = false;
  for (const folder of (process.env.PATH ?? DEFAULT_PATH).split(":")) {
    const path = `${folder || "."}/${name}`;
    try {
      if (!statSync(path).isFile()) continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch (error) {
      denied ||= (error as { code?: string }).code === "EACCES";
    }
  }
  throw denied ? withCode("EACCES", "permission denied") : withCode("ENOENT", "not found in PATH");
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
