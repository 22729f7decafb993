/** Findings about monitor, workers and programs: which users they run as, which of them opens which
 *  files, and whether they are separated. See privsep/ for what they do. */

import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import type { Env, VariableName } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { type Files, localFiles } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { type Identity, refuseIdentity } from "../privsep/identity.ts";
import { pathsOf, wantedFiles } from "../privsep/monitor/file_watcher.ts";
import { programUser } from "../privsep/monitor/program_user.ts";
import { planWorkers } from "../privsep/plan.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { inJail, obstacle, type ProcessUser, processUser } from "./access.ts";
import type { Findings } from "./finding.ts";
import { checkListed } from "./options.ts";

/** Which user does what. Without workers, one process is all three. */
export interface Actors {
  /** Opens the files that options and environment name, at start and when they change. */
  readonly opener: ProcessUser;
  /** Opens the files that rules name. */
  readonly worker: ProcessUser;
  /** The user that programs run as. */
  readonly program: ProcessUser;
  /** Number of worker processes; 0: one process does everything. */
  readonly workers: number;
  /** True with --handler: a module is served without workers, and options cannot change that. */
  readonly module: boolean;
  /** Files that a worker gets as descriptors, so that it needs no permission to open them. */
  readonly handed: ReadonlySet<string>;
  /** Access to files as a worker sees them. */
  readonly files: Files;
}

/** Works out which user each process will run as, and reports problems. */
export function checkProcesses(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
  findings: Findings,
): Actors {
  const planned = findings.attempt(() => ({ plan: planWorkers(options, env, runtime, main) }));
  if (planned?.plan) {
    const { identity, workers } = planned.plan;
    checkNumber(workers, findings);
    checkRoot(options, identity.uid, findings);
    checkIdentity(options, env, identity, runtime, findings);
    if (!options.handler) findings.attempt(() => programUser(options, runtime));
    return separateActors(options, env, identity, workers, runtime, findings);
  }
  // Their problems have been reported. Check the rest as if these were corrected.
  if (!planned && runtime.libc) {
    const workers = options.workers ?? 1;
    return separateActors(options, env, identityOf(options), workers, runtime, findings);
  }
  if (planned) findings.attempt(() => refuseIdentity(env, options));
  if (planned && options.workers === undefined && runtime.libc && !isModule(options)) {
    findings.info(
      "one process does everything, because it is not permitted to start itself again",
      "for separate workers deno run needs --allow-run for itself, and a file on this machine; otherwise use --workers 0",
    );
  }
  checkRoot(options, undefined, findings, false);
  const all = processUser(options, runtime);
  return {
    opener: all,
    worker: all,
    program: all,
    workers: 0,
    module: isModule(options),
    handed: new Set<string>(),
    files: localFiles,
  };
}

function identityOf({ uid, gid }: Options): Identity {
  return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
}

function separateActors(
  options: Options,
  env: Env,
  identity: Identity,
  workers: number,
  runtime: Runtime,
  findings: Findings,
): Actors {
  const jail = identity.chroot && fs.existsSync(identity.chroot)
    ? fs.realpathSync(identity.chroot)
    : undefined;
  const actors: Actors = {
    opener: processUser({}, runtime),
    worker: { ...processUser(identity, runtime), ...(jail ? { jail } : {}) },
    program: processUser(options, runtime),
    workers,
    module: false,
    handed: new Set([...pathsOf(wantedFiles(options, env))].map(({ path }) => path)),
    files: localFiles,
  };
  if (identity.chroot) checkJail(identity.chroot, actors, findings);
  return jail ? { ...actors, files: jailedFiles(jail, actors.handed) } : actors;
}

/** True with --handler: a module always serves in one process. */
function isModule({ handler }: Options): boolean {
  return handler?.kind === "handler";
}

function checkNumber(workers: number, findings: Findings): void {
  const cores = os.availableParallelism();
  if (workers <= cores) return;
  findings.info(
    `--workers ${workers}: this machine has ${cores} CPU cores`,
    "--workers auto starts one per core; more only cost memory",
  );
}

function checkRoot(
  { uid, gid, handler, name }: Options,
  worker: number | undefined,
  findings: Findings,
  workers = true,
): void {
  if (process.getuid?.() !== 0) return;
  const roots = [
    ...workers && !worker ? ["workers"] : [],
    ...uid === undefined && !handler ? ["programs"] : [],
    ...uid === undefined && handler && !workers ? ["handlers"] : [],
  ];
  if (roots.length === 0) return;
  const remedies = [
    ...uid !== undefined
      ? []
      : [gid === undefined ? "use -u UID and -g GID" : "use -u UID as well as -g"],
    ...roots.includes("workers") ? ["set SSL_UID and SSL_GID for workers"] : [],
  ];
  if (name === "s_server") remedies.splice(0, Infinity, "start it as another user"); // it has no -u
  const group = uid === undefined && gid !== undefined ? ` in group ${gid}` : "";
  findings.warning(`${roots.join(" and ")} run as root${group}`, remedies.join(", and "));
}

/** Checks SSL_UID, SSL_GID, SSL_USER, SSL_GROUP and SSL_CHROOT; `options.ts` checks -u and -g. */
function checkIdentity(
  options: Options,
  env: Env,
  { uid, gid, chroot }: Identity,
  runtime: Runtime,
  findings: Findings,
): void {
  const named = (...names: VariableName[]) => names.find((name) => env[name]);
  const user = named("SSL_UID", "SSL_USER");
  const group = named("SSL_GID", "SSL_GROUP") ?? (user === "SSL_USER" ? user : undefined);
  if (process.getuid?.() !== 0) {
    if (runtime.libc?.hasCapabilities(0)) return; // CAP_SETUID and CAP_SYS_CHROOT are enough
    const own = processUser({}, runtime);
    const refused = (what: string | undefined): void => {
      if (what) findings.error(`${what}: only root can do that`, `unset it, or start as root`);
    };
    if (uid !== own.uid) refused(user && `${user} switches to user ${uid}`);
    if (gid !== own.gid) refused(group && `${group} switches to group ${gid}`);
    refused(chroot && `SSL_CHROOT makes ${chroot} the root folder`);
    return;
  }
  if (uid && uid === options.uid && !options.handler) {
    const text = "programs run as the same user, and can end workers";
    const remedy = "set SSL_UID and SSL_GID to a user that runs nothing else";
    if (user) findings.warning(`${user} makes workers user ${uid}: ${text}`, remedy);
    // The debugger is disabled, but that should not be the only obstacle between a program and the
    // key.
    else if (runtime.hasDebugger) findings.warning(`workers are user ${uid}: ${text}`, remedy);
    else findings.info(`workers are user ${uid}: ${text}`, remedy);
  }
  if (user) checkListed("user", "/etc/passwd", uid ? [uid] : [], findings);
  if (group) checkListed("group", "/etc/group", gid ? [gid] : [], findings);
}

function checkJail(chroot: string, { worker, program }: Actors, findings: Findings): void {
  let folder: boolean;
  try {
    folder = fs.statSync(chroot).isDirectory();
  } catch (error) {
    findings.error(`SSL_CHROOT ${chroot}: ${systemReason(error)}`, `mkdir -m 755 ${chroot}`);
    return;
  }
  if (!folder) {
    findings.error(`SSL_CHROOT ${chroot}: not a folder`, "name an empty folder");
    return;
  }
  for (const { uid, gid, groups, ourselves } of [worker, program]) {
    const who = { uid, gid, groups, ourselves };
    if (uid === 0 || obstacle(chroot, who, "write")) continue;
    findings.warning(
      `SSL_CHROOT ${chroot}: user ${uid} can write there`,
      `chown root:root ${chroot}; chmod 755 ${chroot}`,
    );
    return;
  }
}

/** Finds files that were handed over by their path, and all others at their place in the jail. */
function jailedFiles(jail: string, handed: ReadonlySet<string>): Files {
  const known = (path: string): boolean =>
    [...handed].some((one) => path === one || path.startsWith(`${one}/`));
  const at = (path: string): string => known(path) ? path : inJail(path, jail);
  return {
    stamp: (path) => localFiles.stamp(at(path)),
    read: (path, max) => localFiles.read(at(path), max),
    list: (folder) => localFiles.list(at(folder)),
    rules: (path) => localFiles.rules(at(path)),
  };
}
