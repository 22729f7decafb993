/** The identity that a worker assumes: SSL_UID and SSL_GID, or SSL_USER and SSL_GROUP by name,
 *  otherwise -u and -g; and SSL_CHROOT. The monitor looks names up in /etc/passwd and /etc/group at
 *  start. */

import { resolve } from "node:path";
import process from "node:process";
import type { Options } from "../config/options.ts";
import { type Env, IDENTITY_VARIABLES } from "../config/variables.ts";
import { FatalError, reason, UsageError } from "../errors.ts";
import { type Account, type AccountFile, readAccounts } from "../files/accounts.ts";
import type { Files } from "../files/files.ts";

/** What a worker changes once it needs no more privileges. What is undefined stays unchanged. */
export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
  readonly chroot?: string;
}

const MAX_ID = 4_294_967_294;
/** The group id of `nobody` on Linux. */
const NOBODY = 65_534;

/** Throws `FatalError` for an unknown name, and `UsageError` for an invalid number or a relative
 *  path. */
export function workerIdentity(
  options: Options,
  env: Env,
  files: Files,
  root = process.getuid?.() === 0,
): Identity {
  const user = env.SSL_USER ? lookUp(files, "/etc/passwd", "SSL_USER", env.SSL_USER) : [];
  const group = env.SSL_GROUP ? lookUp(files, "/etc/group", "SSL_GROUP", env.SSL_GROUP) : [];
  const uid = id(env, "SSL_UID") ?? user[0] ?? options.uid;
  const gid = id(env, "SSL_GID") ?? group[0] ?? user[1] ?? options.gid ??
    (uid !== undefined && root ? primaryGroup(files, uid) : undefined);
  const chroot = env.SSL_CHROOT || undefined;
  if (chroot !== undefined && !chroot.startsWith("/")) {
    throw new UsageError(
      `$SSL_CHROOT needs a path from the root folder, not '${chroot}'`,
      `set SSL_CHROOT=${resolve(chroot)}`,
    );
  }
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(chroot === undefined ? {} : { chroot }),
  };
}

/** Returns the options with the names of -u and -g replaced by numbers. Throws `FatalError`. */
export function withIds(options: Options, files: Files): Options {
  const { user, group } = options;
  const find = (path: AccountFile, option: "-u" | "-g", name: string): number => {
    const [id = 0] = lookUp(files, path, option, name);
    if (id !== 0) return id;
    throw new UsageError(
      `option ${option} needs another ${
        path === "/etc/passwd" ? "user" : "group"
      } than root's, not '${name}'`,
      `leave out ${option} to keep root's`,
    );
  };
  return {
    ...options,
    ...(user === undefined ? {} : { uid: find("/etc/passwd", "-u", user) }),
    ...(group === undefined ? {} : { gid: find("/etc/group", "-g", group) }),
  };
}

function id(env: Env, name: "SSL_UID" | "SSL_GID"): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  if (!isId(text) || Number(text) === 0) {
    const hint = name === "SSL_UID" ? "set SSL_USER to use a name" : "set SSL_GROUP to use a name";
    throw new UsageError(`$${name} needs a number from 1 to ${MAX_ID}, not '${text}'`, hint);
  }
  return Number(text);
}

function isId(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text) && Number(text) <= MAX_ID;
}

/** Returns the primary group of a user given by number. With root's group, the worker would keep
 *  rights. A user without an entry in /etc/passwd gets the group of `nobody`. */
function primaryGroup(files: Files, uid: number): number {
  let users: Account[] = [];
  try {
    users = readAccounts(files, "/etc/passwd");
  } catch {
    // the system has no list of users
  }
  const user = users.find(({ id, group }) =>
    isId(id) && Number(id) === uid && isId(group) && Number(group) > 0
  );
  return user ? Number(user.group) : NOBODY;
}

/** Hints for the operator if a name is not found. */
const NUMBERS = {
  SSL_USER: "set SSL_UID and SSL_GID to numbers",
  SSL_GROUP: "set SSL_GID to a number",
  "-u": "give -u a number, or add the user to the system",
  "-g": "give -g a number, or add the group to the system",
};

/** Returns the numbers in the line that begins with `name`: user and group, or only the group. */
function lookUp(
  files: Files,
  path: AccountFile,
  variable: keyof typeof NUMBERS,
  name: string,
): number[] {
  let accounts: Account[];
  try {
    accounts = readAccounts(files, path);
  } catch (error) {
    const why = `unable to find ${variable} ${name}: ${path}: ${reason(error)}`;
    throw new FatalError(why, undefined, NUMBERS[variable]);
  }
  const found = accounts.find((account) => account.name === name);
  if (found) {
    const ids = path === "/etc/passwd" ? [found.id, found.group] : [found.id];
    if (ids.every(isId)) return ids.map(Number);
    // An empty field must not become 0, which is root.
    const why = `unable to find ${variable} ${name}: its line in ${path} has no numbers`;
    throw new FatalError(why, undefined, NUMBERS[variable]);
  }
  throw new FatalError(
    `unable to find ${variable} ${name}: not in ${path}`,
    undefined,
    NUMBERS[variable],
  );
}

/** Throws if a worker's identity is set but there are no workers: a process that starts programs
 *  itself cannot be in a chroot, and has the same user as the programs. */
export function refuseIdentity(env: Env, { handler }: Pick<Options, "handler">): void {
  const name = IDENTITY_VARIABLES.find((name) => env[name]);
  if (name === undefined) return;
  if (handler?.kind === "handler") {
    throw new UsageError(
      `$${name} needs a worker process, but a module serves in one process`,
      "use -u and -g",
    );
  }
  throw new UsageError(
    `$${name} needs a worker process, but there is none (--workers 0)`,
    "use --workers 1, for which deno run needs --allow-ffi and --allow-run, or use -u and -g",
  );
}
