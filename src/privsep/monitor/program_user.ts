/** How a program gets its user (-u, -g, -U) if the monitor is root. Bun switches user and group
 *  itself between fork and exec, but cannot set supplementary groups ($GIDLIST). Deno's functions
 *  to start a program pass no descriptors. In these cases util-linux's `setpriv` runs first and
 *  starts the program. That takes half a millisecond.
 *
 *  The C library of setpriv obeys variables while setpriv is still root: LD_PRELOAD,
 *  GLIBC_TUNABLES, LOCPATH and others. So setpriv gets only the server's own environment and the
 *  variables of the connection. Other variables of a rule are arguments of env(1), which sets them
 *  as the program's user. All users can read them in /proc until env runs the program. */

import fs from "node:fs";
import type { Options } from "../../config/options.ts";
import { isConnectionVariable } from "../../config/variables.ts";
import { Unsupported } from "../../errors.ts";
import { lookUp } from "../../runtime/look_up.ts";
import type { LaunchOptions, Runtime } from "../../runtime/runtime.ts";

type Variables = LaunchOptions["env"];
type Launch = Pick<LaunchOptions, "command" | "argv0" | "user" | "env">;

/** Makes the launch of a program with the variables of a connection. `command`: the command that
 *  rules run in place of the program. */
type MakeLaunch = (env: Variables, command?: readonly string[]) => Launch;

/** Returns a function that makes the launch of the program of `options`. `base`: the environment of
 *  every program. Throws `Unsupported`. */
export function programUser(
  { command, uid, gid, groups = [] }: Pick<Options, "command" | "uid" | "gid" | "groups">,
  runtime: Runtime,
  base: Variables = {},
): MakeLaunch {
  if (uid === undefined && gid === undefined) {
    return (env, own = command) => ({ command: own, env });
  }
  const utf8 = isUtf8(command, base);
  if (runtime.switchesUser && groups.length === 0 && utf8) {
    const user = { uid, gid };
    const other = { command, uid, gid };
    let byBytes: MakeLaunch | undefined;
    return (env, own = command) =>
      isUtf8(own === command ? [] : own, env)
        ? { command: own, user, env }
        : (byBytes ??= withSetpriv(other, runtime))(env, own);
  }
  return withSetpriv({ command, uid, gid, groups }, runtime);
}

/** Whether command and variables are well-formed text: Bun's own way to start a program passes no
 *  other bytes. */
function isUtf8(command: readonly string[], env: Variables): boolean {
  return command.every((word) => word.isWellFormed()) &&
    Object.entries(env).every((entry) => entry.every((text) => text.isWellFormed()));
}

function withSetpriv(
  { command, uid, gid, groups = [] }: Pick<Options, "command" | "uid" | "gid"> & {
    groups?: readonly number[] | undefined;
  },
  runtime: Runtime,
): MakeLaunch {
  const what = groups.length > 0
    ? "set supplementary groups ($GIDLIST)"
    : "switch user or group (-u, -g)";
  const setpriv = find("setpriv", what, runtime);
  const who = [
    setpriv,
    ...(uid === undefined ? [] : ["--reuid", String(uid)]),
    ...(gid === undefined ? [] : ["--regid", String(gid)]),
    ...(groups.length > 0 ? ["--groups", groups.join(",")] : ["--clear-groups"]),
    "--",
  ];
  const plain = [...who, ...command];
  return (all, own = command) => {
    const env: Record<string, string> = {};
    const later: string[] = [];
    for (const [name, value] of Object.entries(all)) {
      if (isConnectionVariable(name)) env[name] = value;
      else later.push(`${name}=${value}`);
    }
    if (later.length === 0) {
      return { command: own === command ? plain : [...who, ...own], argv0: "setpriv", env };
    }
    const [name = "", ...args] = own;
    if (name.includes("=")) { // env(1) would take it for a variable
      throw new Unsupported(
        `set the variables of a rule for ${name}`,
        `${runtime.name} with setpriv`,
        'move the program to a path without "="',
      );
    }
    const env1 = find("env", "set the variables of a rule", runtime);
    // env(1) searches the PATH that it has just set.
    const program = "PATH" in all && !name.includes("/") ? lookUp(name) : name;
    const words = [...who, env1, "--", ...later, program, ...args];
    return { command: words, argv0: "setpriv", env };
  };
}

/** Finds a tool by its full path: a rule may have set PATH. */
function find(name: "setpriv" | "env", what: string, runtime: Runtime): string {
  const path = [`/usr/bin/${name}`, `/bin/${name}`].find((path) => fs.existsSync(path));
  if (path !== undefined) return path;
  throw new Unsupported(
    what,
    `${runtime.name} without ${name}`,
    `install ${name} (Debian: ${name === "env" ? "coreutils" : "util-linux"}), or use --workers 0`,
  );
}
