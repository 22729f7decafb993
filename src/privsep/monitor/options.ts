/** What the monitor is made with. */

import type { Options } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../../runtime/runtime.ts";
import type { Identity } from "../identity.ts";
import type { Init } from "../init.ts";

export interface MonitorOptions {
  options: Options;
  env: Readonly<Record<string, string | undefined>>;
  /** What every program gets. */
  base: Readonly<Record<string, string>>;
  runtime: Runtime;
  libc: Libc;
  log: Log;
  self: SelfCommand;
  workers: number;
  identity: Identity;
  init: Pick<Init, "password" | "keyPair" | "resolve">;
  /** Makes the listening socket; `ip` is the host's, when the worker had to look it up. */
  listen: (ip: string | undefined) => number;
  /** Somebody else has that socket too, and keeps it. */
  inherited?: boolean;
  /** Instead of what workers.ts and this file have, in milliseconds; for tests. */
  patience?: {
    readonly start: number;
    readonly leave: number;
    readonly mute?: number;
    readonly unserved?: number;
  };
}
