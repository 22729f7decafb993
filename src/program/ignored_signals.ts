/** Ignored signals for programs. exec keeps an ignored signal ignored, as under nohup(1) or in a background
 *  job of a script, so a program started directly would ignore it too. The server handles some signals, and
 *  the launcher resets all of them for a program. Where `Runtime.keepIgnored` cannot prevent that, env(1)
 *  starts the program and ignores the signals that the server was started to ignore. That takes a
 *  millisecond. */

import fs from "node:fs";
import type { Log } from "../log.ts";

/** env(1) of GNU coreutils since 8.31. */
const ENV = ["/usr/bin/env", "/bin/env"];

/** Returns the command that runs `command` with `signals` ignored. If this is impossible, logs a
 *  warning and returns `command`. */
export function ignoring(
  command: readonly string[],
  signals: readonly string[],
  log: Pick<Log, "warning">,
): string[] {
  const [program = "", ...args] = command;
  if (signals.length === 0) return [program, ...args];
  const env = ENV.find(knowsHow);
  // env(1) treats a word with "=" as a variable.
  if (env !== undefined && !program.includes("=")) {
    return [env, `--ignore-signal=${signals.join(",")}`, "--", program, ...args];
  }
  log.warning(
    `programs will not ignore ${signals.join(" and ")}, which this server was started to ignore: ` +
      (env === undefined
        ? "no env(1) with --ignore-signal was found"
        : "the program's name contains an equals sign"),
  );
  return [program, ...args];
}

function knowsHow(path: string): boolean {
  try {
    return fs.readFileSync(path).includes("ignore-signal");
  } catch {
    return false;
  }
}
