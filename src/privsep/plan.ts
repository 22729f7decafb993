/** The processes of workers, and the identity that they assume. */

import type { Env } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { localFiles } from "../files/files.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type Identity, workerIdentity } from "./identity.ts";
import { inOneProcess, planProcesses, type ProcessPlan } from "./process_plan.ts";

/** What is needed to start workers. */
export interface WorkerPlan extends ProcessPlan {
  identity: Identity;
}

/** Like `planProcesses`, with the identity. Throws `UsageError` and `FatalError`, too. */
export function planWorkers(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
): WorkerPlan | undefined {
  if (inOneProcess(options)) return undefined;
  const identity = workerIdentity(options, env, localFiles);
  const plan = planProcesses(options, runtime, main);
  return plan && { ...plan, identity };
}
