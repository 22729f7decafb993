/** Who the process is: -u, -g and -U. */

import process from "node:process";
import { FatalError, Unsupported } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Options } from "./options.ts";
import type { Runtime } from "./runtime/runtime.ts";

/** The whole process becomes what -u, -g and -U name, once the port is bound: the network is
 *  spoken to without privileges, and programs inherit them. */
export function dropPrivileges(options: Options, runtime: Runtime, log: Log): void {
  const { uid, gid, groups } = options;
  const root = process.getuid?.() === 0;
  if (uid === undefined && gid === undefined) {
    if (root) log.warning("running as root, and so will the programs: use -u and -g");
    return;
  }
  const { libc } = runtime;
  if (!libc) {
    throw new Unsupported(
      "switch user or group (-u, -g, -U)",
      `${runtime.name} without FFI`,
      "allow FFI: deno run --allow-ffi",
    );
  }
  if (root) libc.setGroups(groups ?? []);
  if (gid !== undefined) libc.setGid(gid);
  if (uid !== undefined) libc.setUid(uid);
  const now = libc.getIds();
  const wrong = (uid !== undefined && [now.ruid, now.euid, now.suid].some((id) => id !== uid)) ||
    (gid !== undefined && [now.rgid, now.egid, now.sgid].some((id) => id !== gid));
  if (wrong) throw new FatalError("unable to switch user or group: the system did not obey");
  if (uid !== undefined && regainsRoot(libc)) {
    throw new FatalError("unable to switch user: root could be had back");
  }
}

function regainsRoot(libc: NonNullable<Runtime["libc"]>): boolean {
  try {
    libc.setUid(0);
    return true;
  } catch {
    return false;
  }
}
