/** A copy of the sources as they are now. Builds and runs in the copy do not change the original, and
 *  other tests do not change the copy. */

import { join } from "@std/path";
import * as fs from "node:fs";
import { ROOT, type Trial } from "./harness.ts";

/** Copies the sources below the trial's folder, except those in `left`. node_modules is a symbolic link.
 *  Returns the path of the copy. */
export function checkout(t: Trial, left: readonly string[], ...folders: string[]): string {
  const place = join(t.dir, ...folders);
  fs.mkdirSync(place, { recursive: true });
  for (const name of fs.readdirSync(ROOT)) {
    if (["node_modules", "dist", ".git", ...left].includes(name)) continue;
    fs.cpSync(join(ROOT, name), join(place, name), { recursive: true });
  }
  fs.symlinkSync(join(ROOT, "node_modules"), join(place, "node_modules"));
  return place;
}
