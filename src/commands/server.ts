/** Runs a server under any of its names: from arguments to a running server and an exit code. Each
 *  name provides only the translation of its arguments and environment to those of the server.
 *
 *  This file reads the arguments and starts the processes of the workers. They need time to load
 *  their code. Meanwhile start_server.ts is loaded, with most of the monitor's code. */

import type { Env } from "../config/variables.ts";
import type { Options, ParsedArguments } from "../config/options.ts";
import { EXIT } from "../errors.ts";
import type { Log } from "../log.ts";
import type { EarlyProcesses } from "../privsep/monitor/worker_process.ts";
import { planProcesses } from "../privsep/process_plan.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { CommandCall } from "./command.ts";
import type { ServerExtras } from "./extras.ts";
import { print, type Printing } from "./print.ts";

/** A name under which the server runs. */
export interface ServerName extends Printing {
  /** The line after `usage:` in errors. */
  readonly usage: string;
  /** Reads the arguments after the name. Throws `UsageError`. */
  parse(argv: readonly string[], env: Env): ParsedArguments;
  /** Translates the environment to the variables that sslserver reads. Absent: it is used as it
   *  is. */
  environment?(env: Env, options: Options): Env;
  /** Returns the variables that every program gets. Absent: see `baseEnvironment`. */
  programEnvironment?(env: Env, options: Options): Record<string, string>;
  /** What the name adds to a server in one process; called once, before anything is read or bound.
   *  `env` is what `environment` returned. Rejects with `FatalError`. */
  extras?(options: Options, env: Env, runtime: Runtime, log: Log): Promise<ServerExtras>;
}

/** Runs the server to its end and returns the exit code. Never rejects. */
export async function runServer(name: ServerName, call: CommandCall): Promise<number> {
  let options: Options | undefined;
  let early: EarlyProcesses | undefined;
  try {
    const request = name.parse(call.argv, call.env);
    if ("print" in request) {
      await print(request, name);
      return EXIT.ok;
    }
    options = request.serve;
    const runtime = await call.runtime();
    // Before a process starts, because its end is then watched by a signal: with its first listener
    // Deno handles SIGHUP and SIGINT too, and they are no longer ignored.
    const started = runtime.started(call.argv.length);
    early = await earlyProcesses(options, runtime, call.main);
    const { startServer } = await import("./start_server.ts");
    return await startServer(name, call, { options, started }, runtime, early);
  } catch (error) {
    const { reportFatal } = await import("./fatal.ts");
    return await reportFatal(error, name, options);
  } finally {
    early?.end();
  }
}

/** Starts the processes of the workers. Undefined: there are none, or start_server.ts starts them:
 *  the descriptor of --notify-fd must be checked first, because one that is made here could have the
 *  same number. */
async function earlyProcesses(
  options: Options,
  runtime: Runtime,
  main: string,
): Promise<EarlyProcesses | undefined> {
  if (options.check || options.notifyFd !== undefined) return undefined;
  const plan = planProcesses(options, runtime, main);
  if (!plan) return undefined;
  const { EarlyProcesses } = await import("../privsep/monitor/worker_process.ts");
  return EarlyProcesses.start(plan, runtime, options);
}
