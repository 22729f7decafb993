/** `--check`: whether a user may read, write or execute a file. The check itself often runs as
 *  root, who may do anything, so the modes of the file and of all folders above it are evaluated.
 *  Access control lists are not seen: if they matter, run the check as that user. */

import fs from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import type { Runtime } from "../runtime/runtime.ts";
import { systemReason } from "../runtime/system_reason.ts";

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** True if the process is this user already. */
  readonly ourselves: boolean;
  /** The folder that is its root (chroot). */
  readonly jail?: string;
}

type Wanted = "read" | "write" | "execute";

/** The three bits of a mode, as for the owner. */
const BIT = { read: 4, write: 2, execute: 1 } as const;
const ACCESS = {
  read: fs.constants.R_OK,
  write: fs.constants.W_OK,
  execute: fs.constants.X_OK,
} as const;

/** Maximum symbolic links that are followed, as in the kernel (path_resolution(7)). */
const MAX_LINKS = 40;

/** Returns the identity after switching to these ids. Ids that are undefined stay as they are. */
export function processUser(
  { uid, gid, groups = [] }: {
    uid?: number | undefined;
    gid?: number | undefined;
    groups?: readonly number[] | undefined;
  },
  { libc }: Pick<Runtime, "libc">,
): ProcessUser {
  const own = { uid: process.getuid?.() ?? 0, gid: libc?.getIds().egid ?? 0 };
  return {
    uid: uid ?? own.uid,
    gid: gid ?? own.gid,
    groups,
    ourselves: uid === undefined && gid === undefined,
  };
}

/** Why a user has no access to a file. */
export interface Obstacle {
  /** `user 1000 cannot read it` */
  readonly text: string;
  /** True if the mode of a folder above it is the reason. */
  readonly folder: boolean;
}

/** Returns why `who` has no such access; undefined if it has. */
export function obstacle(path: string, who: ProcessUser, wanted: Wanted): Obstacle | undefined {
  try {
    const { jail, uid } = who;
    const real = jail === undefined ? fs.realpathSync(path) : inJail(path, jail);
    if (who.ourselves) {
      fs.accessSync(real, ACCESS[wanted]);
      return undefined;
    }
    const folders = jail === undefined ? [...above(resolve(path)), ...above(real)] : above(real);
    for (const folder of new Set(folders)) {
      if (!may(folder, who, "execute")) {
        return { text: `user ${uid} cannot enter ${folder}`, folder: true };
      }
    }
    if (may(real, who, wanted)) return undefined;
    return { text: `user ${uid} cannot ${wanted} it`, folder: false };
  } catch (error) {
    return { text: systemReason(error), folder: false };
  }
}

/** Returns where a path leads for a process whose root is `jail`. Absolute links begin at `jail`
 *  too, and no path leads out of it. Links are followed. The last part need not exist. */
export function inJail(path: string, jail: string): string {
  const left = path.split("/");
  let at = "/";
  for (let links = 0; left.length > 0;) {
    const part = left.shift();
    if (part === undefined || part === "" || part === ".") continue;
    const next = part === ".." ? dirname(at) : join(at, part);
    const target = part === ".." ? undefined : linkAt(join(jail, next));
    if (target === undefined) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) throw new Error("too many symbolic links");
    if (target.startsWith("/")) at = "/";
    left.unshift(...target.split("/"));
  }
  return join(jail, at);
}

function linkAt(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined; // not a link, or missing
  }
}

/** All folders above a path, the root first. */
function above(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [...above(folder), folder];
}

function may(path: string, { uid, gid, groups }: ProcessUser, wanted: Wanted): boolean {
  const stat = fs.statSync(path);
  if (uid === 0) return wanted !== "execute" || stat.isDirectory() || (stat.mode & 0o111) !== 0;
  const member = stat.gid === gid || groups.includes(stat.gid);
  const shift = stat.uid === uid ? 6 : member ? 3 : 0;
  return (stat.mode >> shift & BIT[wanted]) !== 0;
}
