/** The command with workers: makes a running monitor from the options, and handles its signals. */

import type { Env } from "../config/variables.ts";
import { type ListenAddress, literalHost, portNumber } from "../accept/address.ts";
import { listenSocket } from "../accept/listen.ts";
import type { AccessRules } from "../admit/access_rules.ts";
import type { Options } from "../config/options.ts";
import type { Log } from "../log.ts";
import { logInternalErrors } from "../log/internal_errors.ts";
import { Monitor } from "../privsep/monitor/monitor.ts";
import type { EarlyProcesses } from "../privsep/monitor/worker_process.ts";
import { programUser } from "../privsep/monitor/program_user.ts";
import type { WorkerPlan } from "../privsep/plan.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { checkInheritedAddress } from "../supervisor/listen_fds.ts";
import type { Supervised } from "../supervisor/notify.ts";
import { readPassword } from "../tls/password.ts";
import { selfSigned } from "../tls/self_signed.ts";
import { shutDebugger } from "./privileges.ts";
import { announcePort, type Bound, logServing } from "./serving.ts";
import { onSignals } from "./signals.ts";

/** Serves until SIGTERM. Throws `FatalError`. */
export async function supervise(
  options: Options,
  env: Env,
  base: Readonly<Record<string, string>>,
  runtime: Runtime,
  log: Log,
  { libc, self, identity, workers }: WorkerPlan,
  processes: EarlyProcesses,
  { inherited, notifier }: Supervised,
): Promise<void> {
  // Throws now, if at all, and not at the first program.
  if (!options.handler) programUser(options, runtime, base);
  const access = await accessOf(options, libc);
  const password = readPassword(options, runtime);
  const keyPair = selfSigned(options, log);
  const literal = literalHost(options.host);
  let bound: Bound = { ip: "", port: 0, dualStack: false };
  const monitor = new Monitor({
    options,
    env,
    base,
    access,
    runtime,
    libc,
    log,
    self,
    processes,
    workers,
    identity,
    init: {
      ...(password === undefined ? {} : { password }),
      ...(keyPair ? { keyPair } : {}),
      resolve: literal === undefined,
    },
    inherited: inherited !== undefined,
    listen(ip) {
      const address: ListenAddress = {
        ...(literal ?? { ip: ip as string, dualStack: false }),
        port: portNumber(options.port),
        backlog: options.backlog,
        interface: options.interface,
      };
      if (inherited) checkInheritedAddress(inherited, address, libc);
      const fd = inherited?.fd ?? listenSocket(libc, address, (text) => log.warning(text));
      const { ip: own, port, family } = libc.getsockname(fd);
      bound = { ip: own, port, dualStack: family === 6 && !libc.v6only(fd) };
      return fd;
    },
  });
  const releaseCode = libc.codePages(); // before the next line, which may close /proc/self
  if (libc.confines) libc.prctlDumpable(false); // it has passwords; programs may have the same user
  try {
    onSignals(runtime, notifier, monitor, options);
    shutDebugger(runtime, log);
    await Promise.race([monitor.start(), monitor.closed]);
    if (monitor.draining) return await monitor.leave();
    logServing(log, bound, options, runtime, { workers, identity });
    announcePort(options, bound.port, libc);
    notifier.ready();
    releaseCode();
  } catch (error) {
    await monitor.abandon();
    throw error;
  }
  logInternalErrors(log);
  await monitor.closed;
  await monitor.leave();
}

/** The rules of --access-dir or --access-cdb. The code is loaded only if it is needed. */
async function accessOf(options: Options, libc: Libc): Promise<AccessRules | undefined> {
  if (options.accessDir === undefined && options.accessCdb === undefined) return undefined;
  const { makeAccessRules } = await import("../admit/access_rules.ts");
  return makeAccessRules(options, libc, () => performance.now());
}
