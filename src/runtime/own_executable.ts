/** Paths with which a child can execute this program again. */

import { extname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** On Linux a link to the running executable; elsewhere `path`. The link works after an upgrade has
 *  replaced or removed the file, and if this user may not search its folder. The kernel resolves
 *  the link in the child before exec, while the child still runs our executable. */
export function ownExecutable(path: string): string {
  return process.platform === "linux" ? "/proc/self/exe" : path;
}

/** Returns the path of another module of this folder, with the ending of this one: `compile.sh js`
 *  makes JavaScript. Not for a compiled program. */
export function besideThis(name: string): string {
  return fileURLToPath(new URL(name + extname(import.meta.url), import.meta.url));
}
