/** The search for a program in $PATH. */

import { accessSync, constants, statSync } from "node:fs";
import process from "node:process";

/** Where programs are looked for if $PATH is not set. */
export const DEFAULT_PATH = "/usr/bin:/bin";

/** The path of `name` in the server's $PATH, if it has no slash. Both runtimes would search the program's
 *  own $PATH, which rules may set: whoever writes rules would choose the program. Throws with `code`. */
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
