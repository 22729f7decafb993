/** How many processes of workers to start, and whether this runtime can start them. */

import type { Options } from "../config/options.ts";
import { Unsupported } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../runtime/runtime.ts";
import { openNull } from "./null_device.ts";

/** What is needed to start the processes of workers. */
export interface ProcessPlan {
  libc: Libc;
  self: SelfCommand;
  workers: number;
}

/** True if the options say that one process does everything. */
export function inOneProcess({ workers, handler, keylog }: Options): boolean {
  return workers === 0 || handler?.kind === "handler" || keylog !== undefined;
}

/** Returns what is needed to start workers; undefined: one process does everything. Throws
 *  `Unsupported` if workers were asked for and this runtime cannot start them. `main`: see
 *  `Runtime.selfCommand`. */
export function planProcesses(
  options: Options,
  runtime: Runtime,
  main: string,
): ProcessPlan | undefined {
  if (inOneProcess(options)) return undefined;
  const { workers, metrics } = options;
  const { libc, name } = runtime;
  const self = libc &&
    runtime.selfCommand(main, metrics && "path" in metrics ? metrics.path : undefined);
  if (libc && self) {
    libc.close(openNull(libc)); // fails now and with its name, rather than when a worker starts
    return { libc, self, workers: workers ?? 1 };
  }
  if (workers === undefined) return undefined;
  throw new Unsupported(
    `start ${workers} workers`,
    `${name} without permission to start itself`,
    "deno run needs --allow-ffi and --allow-run for that; or use --workers 0",
  );
}
