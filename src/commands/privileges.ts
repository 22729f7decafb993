/** The user and groups of the process: -u, -g and -U. */

import fs from "node:fs";
import process from "node:process";
import { FatalError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import { PROOF_HINT } from "../privsep/drop.ts";
import { requireLibc } from "../runtime/needs_ffi.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Gives the whole process the identity of -u, -g and -U, once the port is bound: it speaks to the
 *  network without privileges, and programs inherit the identity. */
export function dropPrivileges(options: Options, runtime: Runtime, log: Log): void {
  const { uid, gid, groups } = options;
  const root = process.getuid?.() === 0;
  dropAmbient(runtime, log);
  if (uid === undefined && gid === undefined) return;
  const libc = requireLibc(runtime, "switch user or group (-u, -g, -U)");
  if (root) libc.setGroups(groups ?? []);
  if (gid !== undefined) libc.setGid(gid);
  if (uid !== undefined) libc.setUid(uid);
  const now = libc.getIds();
  const wrong = (uid !== undefined && [now.ruid, now.euid, now.suid].some((id) => id !== uid)) ||
    (gid !== undefined && [now.rgid, now.egid, now.sgid].some((id) => id !== gid));
  if (wrong) {
    throw new FatalError(
      "unable to switch user or group: the ids are not those requested",
      undefined,
      PROOF_HINT,
    );
  }
  if (uid !== undefined && regainsRoot(libc)) {
    throw new FatalError(
      "unable to switch user: the process can become root again",
      undefined,
      PROOF_HINT,
    );
  }
}

/** Clears the ambient capabilities, so that programs get none. */
function dropAmbient({ libc, name }: Runtime, log: Log): void {
  if (libc) return libc.clearAmbient();
  let status = "";
  try {
    status = fs.readFileSync("/proc/self/status", "latin1");
  } catch {
    return; // not Linux, or no permission to read
  }
  if (!/^CapAmb:\s*[0-9a-f]*[1-9a-f]/m.test(status)) return;
  log.warning(`programs inherit the ambient capabilities: ${name} without FFI cannot clear them`);
}

function regainsRoot(libc: NonNullable<Runtime["libc"]>): boolean {
  try {
    libc.setUid(0);
    return true;
  } catch {
    return false;
  }
}

/** Shuts the debugger, or warns that programs, and other processes of the same user, can use it. */
export function shutDebugger(runtime: Runtime, log: Log): void {
  if (runtime.debuggerShut()) return;
  log.warning(
    `${runtime.name} without FFI opens its debugger at SIGUSR1: programs can read the key; use --allow-ffi`,
  );
}
