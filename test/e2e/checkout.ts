/** The sources as they are now, in a folder of their own: what is built or run there changes nothing here,
 *  and nobody else changes them meanwhile. */

import * as fs from "node:fs";
import { join } from "node:path";
import { ROOT, type Trial } from "./harness.ts";

/** Copies them below the trial's folder, without those `left` out; node_modules is a link. Returns the path. */
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
