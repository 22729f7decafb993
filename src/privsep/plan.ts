/** How many workers to start, with which identity, and whether this runtime can start them. */

import type { Env } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { Unsupported } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../runtime/runtime.ts";
import { type Identity, workerIdentity } from "./identity.ts";
import { openNull } from "./null_device.ts";

/** What is needed to start workers. */
export interface WorkerPlan {
  libc: Libc;
  self: SelfCommand;
  identity: Identity;
  workers: number;
}

/** Returns what is needed to start workers; undefined: one process does everything. Throws
 *  `Unsupported` if workers were asked for and this runtime cannot start them. `main`: see
 *  `Runtime.selfCommand`. */
export function planWorkers(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
): WorkerPlan | undefined {
  const { workers, metrics } = options;
  if (workers === 0 || options.handler?.kind === "handler" || options.keylog !== undefined) {
    return undefined;
  }
  const { libc, name } = runtime;
  const identity = workerIdentity(options, env, localFiles);
  const self = libc &&
    runtime.selfCommand(main, metrics && "path" in metrics ? metrics.path : undefined);
  if (libc && self) {
    libc.close(openNull(libc)); // fails now and with its name, rather than when a worker starts
    return { libc, self, identity, workers: workers ?? 1 };
  }
  if (workers === undefined) return undefined;
  throw new Unsupported(
    `start ${workers} workers`,
    `${name} without permission to start itself`,
    "deno run needs --allow-ffi and --allow-run for that; or use --workers 0",
  );
}
