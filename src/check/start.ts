/** The findings that a start shares with `--check`: about options, environment and files, as far as
 *  they take little time and need no other host and no TLS library. */

import fs from "node:fs";
import { DEFAULTS, type Env } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { fsPath } from "../files/regular_file.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Findings } from "./finding.ts";
import { checkHandler } from "./handlers.ts";
import { checkSettings } from "./options.ts";
import { type Actors, checkProcesses } from "./processes.ts";
import { checkProgram } from "./program.ts";
import type { TryTls } from "./rule_trials.ts";
import { checkRules } from "./rules.ts";
import { checkDescriptors } from "./system.ts";

/** Checks options and environment, and which users the processes will run as. `main`: see
 *  `Runtime.selfCommand`. */
export function checkCommand(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
  findings: Findings,
): Actors {
  checkSettings(options, env, runtime, findings);
  return checkProcesses(options, env, runtime, main, findings);
}

/** Checks the descriptors, and the files that the command line names: rules, and the program if
 *  there is one. It checks only that s6's access rules exist; access_rules.ts reads them. `tryTls`:
 *  see `checkRules`. */
export function checkOperands(
  options: Options,
  env: Env,
  runtime: Runtime,
  actors: Actors,
  findings: Findings,
  tryTls?: TryTls,
): void {
  checkDescriptors(runtime, options, findings);
  for (const file of new Set([options.earlyRules, options.rules])) {
    if (file !== undefined) checkRules(file, options, actors, findings, tryTls);
  }
  checkAccessPath(options, findings);
  if (options.handler) return checkHandler(options.handler, actors, findings);
  checkProgram(options.command[0] ?? "", env.PATH ?? DEFAULTS.PATH, actors.program, findings);
}

function checkAccessPath({ accessDir, accessCdb }: Options, findings: Findings): void {
  const path = accessDir ?? accessCdb;
  if (path === undefined || fs.existsSync(fsPath(path))) return;
  findings.tolerable(
    `access rules ${path}: no such file or directory: every connection is denied`,
    accessDir === undefined
      ? `make it from its folder: s6-accessrules-cdb-from-fs ${path} FOLDER`
      : `mkdir -p ${path}/ip4/0.0.0.0_0; touch ${path}/ip4/0.0.0.0_0/allow`,
  );
}
