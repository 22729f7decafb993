/** Starts a server whose arguments have been read: checks its configuration, and serves. The workers'
 *  processes start meanwhile (server.ts). */

import { Findings } from "../check/finding.ts";
import { checkCommand, checkOperands } from "../check/start.ts";
import type { Options } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { EXIT } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import { Log } from "../log.ts";
import { withIds } from "../privsep/identity.ts";
import { EarlyProcesses } from "../privsep/monitor/worker_process.ts";
import { planWorkers } from "../privsep/plan.ts";
import { baseEnvironment } from "../program/environment.ts";
import { ignoring } from "../program/ignored_signals.ts";
import type { Runtime, Started } from "../runtime/runtime.ts";
import { inheritedListener } from "../supervisor/listen_fds.ts";
import { makeNotifier } from "../supervisor/notify.ts";
import type { CommandCall } from "./command.ts";
import { reportFatal } from "./fatal.ts";
import type { ServerName } from "./server.ts";

/** What the process was started with. */
export interface Given {
  readonly options: Options;
  /** Undefined if the system does not tell. */
  readonly started: Started | undefined;
}

/** Serves to the end and returns the exit code. `early`: the processes of the workers if they have
 *  been started; the caller ends those that are left. Never rejects. */
export async function startServer(
  name: ServerName,
  call: CommandCall,
  given: Given,
  runtime: Runtime,
  early: EarlyProcesses | undefined,
): Promise<number> {
  let log: Log | undefined;
  let later: EarlyProcesses | undefined;
  try {
    const { started } = given;
    const options = withIds(again(name, call, started) ?? given.options, localFiles);
    const own = started?.env ?? call.env;
    const base = name.programEnvironment?.(own, options) ?? baseEnvironment(own);
    const env = name.environment?.(own, options) ?? own;
    if (options.check) {
      const { check } = await import("../check/check.ts");
      return await check(options, env, runtime, call.main);
    }
    const form = { verbosity: options.verbosity, form: options.log, name: name.name };
    log = new Log({ ...form, sink: runtime.stderr() });
    reapOrphans(runtime, log);
    const report = (text: string): void => log?.error(text);
    const inherited = inheritedListener(env, runtime, options);
    const notifier = makeNotifier(env, runtime, options, inherited, report);
    const plan = planWorkers(options, env, runtime, call.main);
    if (plan && !early) later = EarlyProcesses.start(plan, runtime, options);
    checkStart(options, env, runtime, call.main, log);
    if (!options.handler) options.command = unaffected(options, started, runtime, log);
    const supervised = { inherited, notifier };
    const processes = early ?? later;
    if (plan && processes) {
      const { supervise } = await import("./workers.ts");
      await supervise(options, env, base, runtime, log, plan, processes, supervised);
    } else {
      const { serveAlone } = await import("./single.ts"); // loads TLS code, unlike the monitor
      const extras = await name.extras?.(options, env, runtime, log);
      await serveAlone(options, env, base, runtime, log, supervised, extras);
    }
    return EXIT.ok;
  } catch (error) {
    return await reportFatal(error, name, given.options, log);
  } finally {
    later?.end();
    await log?.finish();
  }
}

/** Reads arguments again that differ from the runtime's: those are not UTF-8. Throws `UsageError`. */
function again(
  name: ServerName,
  { argv }: CommandCall,
  started: Started | undefined,
): Options | undefined {
  if (!started || started.argv.every((word, i) => word === argv[i])) return undefined;
  const request = name.parse(started.argv, started.env);
  return "serve" in request ? request.serve : undefined;
}

/** Reports mistakes that can be found at once. Throws `FatalError`. */
function checkStart(options: Options, env: Env, runtime: Runtime, main: string, log: Log): void {
  const findings = new Findings();
  const actors = checkCommand(options, env, runtime, main, findings);
  checkOperands(options, env, runtime, actors, findings);
  findings.start(log);
}

/** Returns the command that starts the program without the signals that this process was started to
 *  ignore. */
function unaffected(
  options: Options,
  started: Started | undefined,
  runtime: Runtime,
  log: Log,
): string[] {
  const ignored = started?.ignored ?? [];
  const other = options.uid !== undefined || options.gid !== undefined;
  const left = other || ignored.length === 0 ? ignored : runtime.keepIgnored(ignored);
  return ignoring(options.command, left, log);
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
