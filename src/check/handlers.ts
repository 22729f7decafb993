/** Findings about handlers, which serve in place of a program: the folder of --files, and the
 *  module of --handler. */

import fs from "node:fs";
import type { HandlerChoice } from "../config/options.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { obstacle, type ProcessUser } from "./access.ts";
import type { Findings } from "./finding.ts";
import type { Actors } from "./processes.ts";

/** Checks that the process that serves can read the folder or the module. */
export function checkHandler(
  handler: HandlerChoice,
  { worker, program }: Pick<Actors, "worker" | "program">,
  findings: Findings,
): void {
  if (handler.kind === "handler") return checkModule(handler.file, program, findings);
  if (handler.kind !== "files") return;
  const { folder } = handler;
  // The folder is opened before chroot, its files with the worker's rights.
  const { jail: _, ...user } = worker;
  try {
    if (!fs.statSync(folder).isDirectory()) throw new Error("not a folder");
  } catch (error) {
    const remedy = "name a folder with the files to serve";
    return findings.error(`--files ${folder}: ${systemReason(error)}`, remedy);
  }
  const problem = obstacle(folder, user, "execute");
  if (problem) {
    return findings.tolerable(`--files ${folder}: ${problem.text}`, `chmod a+rx ${folder}`);
  }
  findings.ok(`--files ${folder}: a folder`);
}

function checkModule(file: string, who: ProcessUser, findings: Findings): void {
  try {
    if (!fs.statSync(file).isFile()) throw new Error("no regular file");
  } catch (error) {
    return findings.error(`module ${file}: ${systemReason(error)}`, "name a file that exists");
  }
  const problem = obstacle(file, who, "read");
  if (problem) return findings.error(`module ${file}: ${problem.text}`, `chmod a+r ${file}`);
  findings.ok(`module ${file}: readable`);
}
