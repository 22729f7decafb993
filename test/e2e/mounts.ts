/** Mounts that only the server under test sees. Needs root and unshare(1) of util-linux. */

import { dirname, join } from "@std/path";
import * as fs from "node:fs";
import { ROOT, type Trial } from "./harness.ts";

/** A prelude: shell text that makes a new mount namespace, runs `mount` in it, then the server.
 *  `mount` must not contain single quotes. The script makes the namespace private itself and ignores
 *  failure: unshare's own option fails in a chroot whose root folder is not a mount point. */
export function mounted(mount: string): string {
  const inside = `mount --make-rprivate / 2>/dev/null; ${mount} && exec "$@"`;
  return `set -- unshare -m --propagation unchanged sh -c '${inside}' sh "$@"`;
}

/** A prelude that lets other users enter a checkout below a folder that only root may enter. Empty if
 *  they can enter it anyway. `deno run` as another user needs this, because it reads the sources by
 *  path. */
export function reachable(t: Trial): string {
  const shut = [...above(ROOT)].filter((folder) => (fs.statSync(folder).mode & 1) === 0).at(-1);
  if (shut === undefined) return "";
  const empty = fs.mkdtempSync(join(t.dir, "checkout-"));
  return mounted(
    `mount --bind ${ROOT} ${empty} && mount -t tmpfs -o mode=755 none ${shut} && ` +
      `mkdir -p ${ROOT} && mount --bind ${empty} ${ROOT}`,
  );
}

function* above(path: string): Iterable<string> {
  for (let folder = dirname(path); folder !== "/"; folder = dirname(folder)) yield folder;
}
