/** `--check`: may the user that the server becomes (-u, -g, -U) read or execute a file? The check
 *  itself often runs as root, who may do anything, so the modes of the file and of all folders above
 *  it are looked at. Access control lists are not seen: where they matter, run the check as that user. */

import fs from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import type { Options } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemReason } from "../files.ts";

export interface Who {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** The process is this user already. */
  readonly ourselves: boolean;
}

type Wanted = "read" | "execute";

/** The three bits of a mode, as for the owner. */
const BIT = { read: 4, execute: 1 } as const;

/** Who serves once the port is bound (see `dropPrivileges`). */
export function servingUser({ uid, gid, groups }: Options, { libc }: Runtime): Who {
  const own = { uid: process.getuid?.() ?? 0, gid: libc?.getIds().egid ?? 0 };
  return {
    uid: uid ?? own.uid,
    gid: gid ?? own.gid,
    groups: groups ?? [],
    ourselves: uid === undefined && gid === undefined,
  };
}

/** What keeps `who` from it: `user 1000 cannot read it`; undefined: nothing. */
export function obstacle(path: string, who: Who, wanted: Wanted): string | undefined {
  try {
    if (who.ourselves) {
      fs.accessSync(path, wanted === "read" ? fs.constants.R_OK : fs.constants.X_OK);
      return undefined;
    }
    const real = fs.realpathSync(path);
    for (const folder of new Set([...above(resolve(path)), ...above(real)])) {
      if (!may(folder, who, "execute")) return `user ${who.uid} cannot enter ${folder}`;
    }
    return may(real, who, wanted) ? undefined : `user ${who.uid} cannot ${wanted} it`;
  } catch (error) {
    return systemReason(error);
  }
}

/** All folders above a path, the root first. */
function above(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [...above(folder), folder];
}

function may(path: string, { uid, gid, groups }: Who, wanted: Wanted): boolean {
  const stat = fs.statSync(path);
  if (uid === 0) return wanted === "read" || stat.isDirectory() || (stat.mode & 0o111) !== 0;
  const member = stat.gid === gid || groups.includes(stat.gid);
  const shift = stat.uid === uid ? 6 : member ? 3 : 0;
  return (stat.mode >> shift & BIT[wanted]) !== 0;
}
