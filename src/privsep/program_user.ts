/** Whose a program becomes (-u, -g, -U), where the monitor is root. A runtime can switch user and group
 *  when it starts a program, or not even that; supplementary groups ($GIDLIST) none of them can set.
 *  Then `setpriv` of util-linux stands in between, for half a millisecond. */

import fs from "node:fs";
import { Unsupported } from "../errors.ts";
import type { Options } from "../options.ts";
import type { LaunchOptions, Runtime } from "../runtime/runtime.ts";

const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"];

type Command = Pick<LaunchOptions, "command" | "argv0" | "user">;

/** What to launch for the program of `options`. */
export function userCommand(
  { command, uid, gid, groups = [] }: Pick<Options, "command" | "uid" | "gid" | "groups">,
  runtime: Runtime,
): Command {
  if (uid === undefined && gid === undefined) return { command };
  if (runtime.switchesUser && groups.length === 0) return { command, user: { uid, gid } };
  const setpriv = SETPRIV.find((path) => fs.existsSync(path));
  if (setpriv === undefined) {
    throw new Unsupported(
      groups.length > 0 ? "set supplementary groups ($GIDLIST)" : "switch user or group (-u, -g)",
      `${runtime.name} without setpriv`,
      "install setpriv (Debian: util-linux), or use --workers 0",
    );
  }
  const who = [
    ...(uid === undefined ? [] : ["--reuid", String(uid)]),
    ...(gid === undefined ? [] : ["--regid", String(gid)]),
    ...(groups.length > 0 ? ["--groups", groups.join(",")] : ["--clear-groups"]),
  ];
  return { command: [setpriv, ...who, "--", ...command], argv0: "setpriv" };
}
