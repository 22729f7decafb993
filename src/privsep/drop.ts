/** How a worker gives up its privileges, and proves that it has. Afterwards it is in its chroot,
 *  runs as its own user and cannot become another, and has no capabilities. exec grants it nothing,
 *  no process can trace it, and it leaves no core file. */

import fs from "node:fs";
import { FatalError, reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Identity } from "./identity.ts";

/** Error codes of seccomp(2) on a kernel or an emulator without it. */
const NO_SECCOMP: ReadonlySet<string> = new Set(["ENOSYS", "EINVAL"]);

/** Throws `FatalError` if the system refuses a step or did not carry it out: the worker must not
 *  serve then. */
export function drop(libc: Libc, identity: Identity): void {
  const { uid, gid, chroot } = identity;
  const root = libc.getIds().euid === 0;
  const threads = libc.threads(); // before chroot, which may lack /proc; later threads inherit
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
  // Each thread has its own capability sets. They are normally empty by now, but setuid(2) keeps
  // them with certain securebits(7), and an executable may have its own (setcap).
  if (libc.getIds().euid !== 0 && threads.some((thread) => libc.hasCapabilities(thread))) {
    fail("capabilities remain");
  }
}

/** Without seccomp in the kernel, only the calling thread can be set. `sandbox` then fails for the
 *  same reason, and the worker's warning names it. */
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
    if (here.ino !== jail.ino || here.dev !== jail.dev) {
      throw new Error("the root folder has not changed");
    }
  });
}

/** Hint for the operator: a container may run root without some capabilities (docker
 *  --cap-drop). */
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

/** Checks the ids, and tries to get back what was given up. Throws `FatalError` if that
 *  succeeds. */
function prove(libc: Libc, { uid, gid, chroot }: Identity, root: boolean): void {
  const ids = libc.getIds();
  const is = (wanted: number | undefined, ...found: (number | undefined)[]): boolean =>
    wanted === undefined || found.every((id) => id === undefined || id === wanted);
  if (!is(uid, ids.ruid, ids.euid, ids.suid)) fail("the user id is not the requested one");
  if (!is(gid, ids.rgid, ids.egid, ids.sgid)) fail("the group id is not the requested one");
  if (uid === undefined || uid === 0) return;
  const groups = root ? libc.getGroups() : []; // only root can clear them
  if (gid !== undefined && groups.some((group) => group !== gid)) {
    fail("supplementary groups remain");
  }
  for (
    const [what, go] of [
      ["the process can become root again", () => libc.setUid(0)],
      ["the process can take root's group again", () => gid !== 0 && libc.setGid(0)],
      ["the process can add groups", () => libc.setGroups([0])],
      ["the process can leave the root folder", () => chroot !== undefined && libc.chroot("/")],
    ] as const
  ) {
    if (succeeds(go)) fail(what);
  }
}

/** A `go` that returns false was not needed, and does not count as a success. */
function succeeds(go: () => unknown): boolean {
  try {
    return go() !== false;
  } catch {
    return false;
  }
}

/** Hint for the operator: what can give a process rights that setuid(2) does not remove. */
export const PROOF_HINT =
  "remove capabilities from the executable (setcap -r), and securebits from the process";

function fail(what: string): never {
  throw new FatalError(`unable to give up privileges: ${what}`, undefined, PROOF_HINT);
}
