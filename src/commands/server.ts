/** Runs a server under any of its names: from arguments to a running server and an exit code. Each
 *  name provides only the translation of its arguments and environment to those of the server. */

import type { Env } from "../config/variables.ts";
import { Findings } from "../check/finding.ts";
import { checkCommand, checkOperands } from "../check/start.ts";
import type { Options, ParsedArguments } from "../config/options.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import { Log } from "../log.ts";
import { withIds } from "../privsep/identity.ts";
import type { EarlyProcesses } from "../privsep/monitor/worker_process.ts";
import { planWorkers, type WorkerPlan } from "../privsep/plan.ts";
import { baseEnvironment } from "../program/environment.ts";
import { ignoring } from "../program/ignored_signals.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { inheritedListener } from "../supervisor/listen_fds.ts";
import { makeNotifier } from "../supervisor/notify.ts";
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
  let { argv, env } = call;
  const { main } = call;
  let log = new Log({ verbosity: 1, form: "text", name: name.name });
  let early: EarlyProcesses | undefined;
  try {
    const request = name.parse(argv, env);
    if ("print" in request) {
      await print(request, name);
      return EXIT.ok;
    }
    let options = withIds(request.serve, localFiles);
    const form = { verbosity: options.verbosity, form: options.log, name: name.name };
    log = new Log(form);
    const runtime = await call.runtime();
    const started = runtime.started(argv.length);
    if (started) {
      const changed = started.argv.some((word, i) => word !== argv[i]);
      ({ argv, env } = started);
      // The runtime's argv differs only in arguments that are not UTF-8.
      const again = changed && name.parse(argv, env);
      if (again && "serve" in again) options = withIds(again.serve, localFiles);
    }
    const base = name.programEnvironment?.(env, options) ?? baseEnvironment(env);
    if (name.environment) env = name.environment(env, options);
    if (options.check) {
      const { check } = await import("../check/check.ts");
      return await check(options, env, runtime, main);
    }
    log = new Log({ ...form, sink: runtime.stderr() });
    reapOrphans(runtime, log);
    const inherited = inheritedListener(env, runtime, options);
    const notifier = makeNotifier(env, runtime, options, inherited, (text) => log.error(text));
    const plan = planWorkers(options, env, runtime, main);
    early = plan && await earlyProcesses(plan, runtime, options);
    const findings = new Findings();
    const actors = checkCommand(options, env, runtime, main, findings);
    checkOperands(options, env, runtime, actors, findings);
    findings.start(log);
    if (!options.handler) {
      const ignored = started?.ignored ?? [];
      const other = options.uid !== undefined || options.gid !== undefined;
      const left = other || ignored.length === 0 ? ignored : runtime.keepIgnored(ignored);
      options.command = ignoring(options.command, left, log);
    }
    const supervised = { inherited, notifier };
    if (plan && early) {
      const { supervise } = await import("./workers.ts");
      await supervise(options, env, base, runtime, log, plan, early, supervised);
    } else {
      const { serveAlone } = await import("./single.ts"); // loads TLS code, unlike the monitor
      const extras = await name.extras?.(options, env, runtime, log);
      await serveAlone(options, env, base, runtime, log, supervised, extras);
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) {
      log.fatal(error.message, error.hint);
      log.usage(name.usage);
      return error.code;
    }
    if (error instanceof FatalError) {
      log.fatal(error.message, error.hint);
      return error.code;
    }
    log.fatal(`unable to continue: ${reason(error)}`);
    return EXIT.system;
  } finally {
    early?.end();
    await log.finish();
  }
}

/** Starts the processes of the workers, with the limits and rights that they and programs get. */
async function earlyProcesses(
  plan: WorkerPlan,
  runtime: Runtime,
  options: Options,
): Promise<EarlyProcesses> {
  plan.libc.raiseFileLimit();
  plan.libc.clearAmbient(); // the monitor keeps its other sets, to listen
  const { EarlyProcesses } = await import("../privsep/monitor/worker_process.ts");
  return EarlyProcesses.start(plan, runtime, options);
}

/** Reaps children that this program did not start, so that they do not stay zombies. They are
 *  orphans, if this is process 1, or children of the program that ran before exec. */
function reapOrphans(runtime: Runtime, log: Log): void {
  if (runtime.libc) return runtime.reapAll();
  if (process.pid !== 1) return;
  log.warning(
    `${runtime.name} without FFI leaves orphans as zombies: use --allow-ffi, or an init (docker --init)`,
  );
}
