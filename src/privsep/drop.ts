/** How a worker gives up its rights, and proves that it has. After this it stands in its jail, is
 *  nobody's and can become nobody else, without capabilities; exec grants nothing, nobody traces it, it leaves no core. */

import fs from "node:fs";
import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Identity } from "./identity.ts";

/** How seccomp(2) fails on a kernel, or in an emulator, that has none. */
const NO_SECCOMP: ReadonlySet<string> = new Set(["ENOSYS", "EINVAL"]);

/** Throws `FatalError` when the system refuses, or has not obeyed: the worker must not serve then. */
export function drop(libc: Libc, identity: Identity): void {
  const { uid, gid, chroot } = identity;
  const root = libc.getIds().euid === 0;
  const threads = libc.threads(); // before the jail, which may have no /proc; later ones are their heirs
  step("give up core files", () => libc.setLimit("core", 0));
  if (chroot !== undefined) enter(libc, chroot);
  if (root && (uid !== undefined || gid !== undefined)) {
    step("clear the supplementary groups", () => libc.setGroups([]));
  }
  if (gid !== undefined) step(`become group ${gid}`, () => libc.setGid(gid));
  if (uid !== undefined) step(`become user ${uid}`, () => libc.setUid(uid));
  if (libc.getIds().euid !== 0) step("give up capabilities", () => libc.dropCapabilities());
  if (libc.confines) {
    step("refuse new privileges", () => refuseNewPrivileges(libc));
    step("refuse to be traced", () => libc.prctlDumpable(false));
  }
  prove(libc, identity, root);
  // The sets belong to threads. What the monitor starts has none, but setuid(2) leaves them to a process
  // with certain securebits(7), and a file may have its own (setcap).
  if (libc.getIds().euid !== 0 && threads.some((thread) => libc.hasCapabilities(thread))) {
    fail("capabilities are left");
  }
}

/** On a kernel without seccomp the other threads cannot be reached. `sandbox` fails there for the same
 *  reason, and the worker's warning names it. */
function refuseNewPrivileges(libc: Libc): void {
  try {
    libc.prctlNoNewPrivs();
  } catch (error) {
    if (!NO_SECCOMP.has((error as { code?: string }).code ?? "")) throw error;
    libc.prctlNoNewPrivsHere();
  }
}

function enter(libc: Libc, chroot: string): void {
  step(`make ${chroot} the root folder ($SSL_CHROOT)`, () => {
    const jail = fs.statSync(chroot);
    libc.chroot(chroot);
    const here = fs.statSync("/");
    if (here.ino !== jail.ino || here.dev !== jail.dev) throw new Error("the system did not obey");
  });
}

/** A container can take single rights from root (docker --cap-drop). */
const STEP_HINT =
  "start the server as root with CAP_SETUID, CAP_SETGID and CAP_SYS_CHROOT, or unset " +
  "SSL_UID, SSL_GID and SSL_CHROOT; SSL_CHROOT must be a folder";

function step(what: string, go: () => void): void {
  try {
    go();
  } catch (error) {
    throw new FatalError(`unable to ${what}: ${reason(error)}`, undefined, STEP_HINT);
  }
}

/** Tries to get back what was given up. */
function prove(libc: Libc, { uid, gid, chroot }: Identity, root: boolean): void {
  const ids = libc.getIds();
  const is = (wanted: number | undefined, ...found: (number | undefined)[]): boolean =>
    wanted === undefined || found.every((id) => id === undefined || id === wanted);
  if (!is(uid, ids.ruid, ids.euid, ids.suid)) fail("the user is another");
  if (!is(gid, ids.rgid, ids.egid, ids.sgid)) fail("the group is another");
  if (uid === undefined || uid === 0) return;
  const groups = root ? libc.getGroups() : []; // nobody else can clear them
  if (gid !== undefined && groups.some((group) => group !== gid)) fail("groups are left");
  for (
    const [what, go] of [
      ["root could be had back", () => libc.setUid(0)],
      ["root's group could be had back", () => gid !== 0 && libc.setGid(0)],
      ["groups could be added", () => libc.setGroups([0])],
      ["the jail could be left", () => chroot !== undefined && libc.chroot("/")],
    ] as const
  ) {
    if (succeeds(go)) fail(what);
  }
}

/** False results are attempts that were not needed. */
function succeeds(go: () => unknown): boolean {
  try {
    return go() !== false;
  } catch {
    return false;
  }
}

/** What gives a process rights that setuid(2) does not take. */
const PROOF_HINT =
  "take capabilities from the executable (setcap -r), and securebits from the process";

function fail(what: string): never {
  throw new FatalError(`unable to give up rights: ${what}`, undefined, PROOF_HINT);
}
