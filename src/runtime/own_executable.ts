/** What this process runs, as paths for a child to execute. */

import process from "node:process";
import { fileURLToPath } from "node:url";

/** Linux: the file itself, whatever has become of its name. An upgrade may have replaced or removed it,
 *  or this user may not search its folder. The kernel resolves the link in the child before exec, while
 *  the child still runs our executable. Elsewhere: `path`. */
export function ownExecutable(path: string): string {
  return process.platform === "linux" ? "/proc/self/exe" : path;
}

/** The path of another file of this folder; not in a compiled program. */
export function besideThis(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
