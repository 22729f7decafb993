/** The options of the monitor. */

import type { AccessRules } from "../../admit/access_rules.ts";
import type { Options } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../../runtime/runtime.ts";
import type { Identity } from "../identity.ts";
import type { Init } from "../init.ts";
import type { EarlyProcesses } from "./worker_process.ts";

export interface MonitorOptions {
  options: Options;
  env: Readonly<Record<string, string | undefined>>;
  /** Environment variables that every program gets. */
  base: Readonly<Record<string, string>>;
  /** The rules of --access-dir or --access-cdb. */
  access?: AccessRules | undefined;
  runtime: Runtime;
  libc: Libc;
  log: Log;
  self: SelfCommand;
  /** Starts the processes of workers. */
  processes: Pick<EarlyProcesses, "next">;
  workers: number;
  identity: Identity;
  init: Pick<Init, "password" | "keyPair" | "resolve">;
  /** Makes the listening socket. `ip`: the host's address, if a worker had to look it up. */
  listen: (ip: string | undefined) => number;
  /** True if a supervisor has that socket too, and keeps it. */
  inherited?: boolean;
  /** For tests: replaces the times of workers.ts and monitor.ts, in milliseconds. */
  timeouts?: {
    readonly start: number;
    readonly leave: number;
    readonly logClosed?: number;
    readonly unserved?: number;
  };
}
