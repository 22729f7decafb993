/** Mounts that only the server under test sees. For root; needs unshare(1) of util-linux. */

import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, type Trial } from "./harness.ts";

/** A prelude: shell text that runs `mount` in a mount namespace of its own and the server behind it.
 *  unshare's own way to make that namespace private fails in a chroot whose root folder is no mount
 *  point; there the namespace stays as it is. Single quotes are not allowed in `mount`. */
export function mounted(mount: string): string {
  const inside = `mount --make-rprivate / 2>/dev/null; ${mount} && exec "$@"`;
  return `set -- unshare -m --propagation unchanged sh -c '${inside}' sh "$@"`;
}

/** A prelude that lets other users enter a checkout below a folder that only root may enter; nothing
 *  where they can. `deno run` needs it to start as another user: it reads the sources by path. */
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
