/** The executable that this process runs, as a path for a child to execute. */

import process from "node:process";

/** Linux: the file itself, whatever has become of its name. An upgrade may have replaced or removed it,
 *  or this user may not search its folder. The kernel resolves the link in the child before exec, while
 *  the child still runs our executable. Elsewhere: `path`. */
export function ownExecutable(path: string): string {
  return process.platform === "linux" ? "/proc/self/exe" : path;
}
