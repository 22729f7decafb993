/** The findings that a start shares with `--check`: about options, environment and files, as far as
 *  they take little time and need no other host and no TLS library. */

import { DEFAULTS, type Env, type RuleVariables } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Findings } from "./finding.ts";
import { checkSettings } from "./options.ts";
import { type Actors, checkProcesses } from "./processes.ts";
import { checkProgram } from "./program.ts";
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

/** Checks the descriptors, and what the command line names: rules files and the program, if there is
 *  one. `tryTls`:
 *  see `checkRules`. */
export function checkOperands(
  options: Options,
  env: Env,
  runtime: Runtime,
  actors: Actors,
  findings: Findings,
  tryTls?: (variables: RuleVariables) => void,
): void {
  checkDescriptors(runtime, options, findings);
  for (const file of new Set([options.earlyRules, options.rules])) {
    if (file !== undefined) checkRules(file, options, actors, findings, tryTls);
  }
  if (options.handler) return;
  checkProgram(options.command[0] ?? "", env.PATH ?? DEFAULTS.PATH, actors.program, findings);
}
