/** Signals that the server was started to ignore, as under nohup(1) or in a script's background: exec keeps
 *  that, so a program in the server's place would ignore them too. The server handles some of them, and
 *  what starts programs gives all signals their default meaning. So env(1) runs in between, where there is
 *  such a signal. */

import fs from "node:fs";
import type { Log } from "../log.ts";

/** env(1) of GNU coreutils since 8.31. */
const ENV = ["/usr/bin/env", "/bin/env"];

/** The command that runs `command` and ignores `signals`. Where that cannot be had it is a warning. */
export function ignoring(
  command: readonly string[],
  signals: readonly string[],
  log: Pick<Log, "warning">,
): string[] {
  const [program = "", ...args] = command;
  if (signals.length === 0) return [program, ...args];
  const env = ENV.find(knowsHow);
  // env(1) would take a word with "=" for a variable.
  if (env !== undefined && !program.includes("=")) {
    return [env, `--ignore-signal=${signals.join(",")}`, "--", program, ...args];
  }
  log.warning(
    `programs will not ignore ${signals.join(" and ")}, which this server was started to ignore: ` +
      (env === undefined
        ? "there is no env(1) with --ignore-signal"
        : "the program's name has a ="),
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
