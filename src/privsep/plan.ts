/** How many workers there shall be, as whom, and whether this runtime can start them. */

import type { Env } from "../config/variables.ts";
import type { Options } from "../config/options.ts";
import { Unsupported } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../runtime/runtime.ts";
import { type Identity, workerIdentity } from "./identity.ts";
import { openNull } from "./null_device.ts";

/** What it takes to have workers. */
export interface WorkerPlan {
  libc: Libc;
  self: SelfCommand;
  identity: Identity;
  workers: number;
}

/** How many workers there shall be, and with what; undefined: one process does everything. Throws
 *  `Unsupported` where they were asked for and cannot be had. `main`: see `Runtime.selfCommand`. */
export function planWorkers(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
): WorkerPlan | undefined {
  const { workers } = options;
  if (workers === 0) return undefined;
  const { libc, name } = runtime;
  const identity = workerIdentity(options, env, localFiles);
  const self = libc && runtime.selfCommand(main);
  if (libc && self) {
    libc.close(openNull(libc)); // said now, by name, rather than when a worker starts
    return { libc, self, identity, workers: workers ?? 1 };
  }
  if (workers === undefined) return undefined;
  throw new Unsupported(
    `start ${workers} workers`,
    `${name} without leave to start itself`,
    "deno run needs --allow-ffi and --allow-run for that; or use --workers 0",
  );
}
