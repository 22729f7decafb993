/** Findings about what serves in place of a program: the folder of --files. */

import fs from "node:fs";
import type { HandlerChoice } from "../config/options.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { obstacle } from "./access.ts";
import type { Findings } from "./finding.ts";
import type { Actors } from "./processes.ts";

/** Checks that the worker can read the folder. */
export function checkHandler(
  handler: HandlerChoice,
  { worker }: Pick<Actors, "worker">,
  findings: Findings,
): void {
  if (handler.kind !== "files") return;
  const { folder } = handler;
  // The folder is opened before a chroot, and its files with the rights of the worker.
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
