/** Serves in one process, without workers: with --workers 0, or if the runtime may not start itself
 *  again. The process assumes the identity of -u and -g once it listens. */

import process from "node:process";
import type { Env } from "../config/variables.ts";
import type { ListenAddress } from "../accept/address.ts";
import { listenAddress } from "../accept/host.ts";
import { listen } from "../accept/listen.ts";
import { assemble } from "../assemble.ts";
import { warnOfServed } from "../check/served.ts";
import type { Options } from "../config/options.ts";
import { watchEventLoop } from "../handlers/event_loop.ts";
import { loadHandler } from "../handlers/load.ts";
import type { ModuleHandler } from "../handlers/module.ts";
import { endAfter, GRACE, type Server } from "../lifecycle.ts";
import { EXIT, FatalError } from "../errors.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { ServerExtras } from "./extras.ts";
import type { Log } from "../log.ts";
import { logInternalErrors } from "../log/internal_errors.ts";
import { describeServer } from "../metrics/describe.ts";
import { type MetricsEndpoint, openEndpoint } from "../metrics/endpoint.ts";
import { expose } from "../metrics/exposition.ts";
import { refuseIdentity } from "../privsep/identity.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { serveConnections } from "../serve.ts";
import type { Services } from "../services.ts";
import { checkInheritedAddress, type InheritedListener } from "../supervisor/listen_fds.ts";
import type { Supervised } from "../supervisor/notify.ts";
import { readPassword } from "../tls/password.ts";
import { selfSigned } from "../tls/self_signed.ts";
import { dropPrivileges, shutDebugger } from "./privileges.ts";
import { announcePort, logServing } from "./serving.ts";
import { onSignals, type SignalHandlers } from "./signals.ts";

/** Serves until SIGTERM and the end of the last connection. Throws `FatalError`. */
export async function serveAlone(
  options: Options,
  env: Env,
  base: Readonly<Record<string, string>>,
  runtime: Runtime,
  log: Log,
  { inherited, notifier }: Supervised,
  extras?: ServerExtras,
): Promise<void> {
  refuseIdentity(env, options);
  const { handler, module } = await loadHandler(options, runtime);
  if (options.keylog !== undefined) logSecrets(options.keylog, runtime, log);
  const given = {
    password: readPassword(options, runtime),
    keyPair: selfSigned(options, log),
    handler,
    base,
    ...extras?.overrides,
  };
  const assembled = await assemble(options, env, runtime, log, given);
  const { services } = assembled;
  warnOfServed(assembled, log);
  const endpoint = await metricsEndpoint(services);
  const overdue = Promise.withResolvers<void>();
  let server: Server | undefined;
  let over: Promise<void>;
  try {
    const address = await listenAddress(options, services.admission.resolver);
    server = begin(services, address, inherited);
    over = Promise.race([server.closed, overdue.promise]);
    const releaseCode = runtime.libc?.codePages(); // before the ids change
    dropPrivileges(options, runtime, log);
    // Before the port is announced: a process that waits for that may send a signal at once.
    const reload = (): void => {
      assembled.reload();
      void module?.reload(log);
    };
    onSignals(
      runtime,
      notifier,
      signalHandlers(server, {
        reload,
        ended: module && overdue.resolve,
        endpoint,
        options,
        inherited,
      }),
      options,
    );
    shutDebugger(runtime, log);
    if (module && !await beginModule(module, log, over)) return;
    process.on("exit", () => endpoint?.close());
    const { ip, dualStack } = inherited ?? address;
    logServing(log, { ip, port: server.port, dualStack }, options, runtime);
    announcePort(options, server.port, runtime.libc);
    extras?.begun(server);
    notifier.ready();
    releaseCode?.();
  } catch (error) {
    server?.end();
    endpoint?.close();
    throw error;
  }
  if (!module) logInternalErrors(log);
  await over;
  assembled.close();
}

/** Loads the module of --handler. The process has its final rights by now. Resolves with false if the
 *  server is over before the module is loaded. Rejects with `FatalError`. */
async function beginModule(
  module: ModuleHandler,
  log: Log,
  over: Promise<void>,
): Promise<boolean> {
  log.warning(
    "the module shares a process with the TLS keys, and can read them",
    "run only code that may have them; programs are separate",
  );
  logInternalErrors(log, "uncaught exception or unhandled rejection in the module");
  watchEventLoop(log);
  return await Promise.race([module.load().then(() => true), over.then(() => false)]);
}

/** --keylog. Throws `FatalError`. */
function logSecrets(file: string, runtime: Runtime, log: Log): void {
  try {
    runtime.logSecrets(file);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(
      `unable to append to ${file}: ${systemReason(error)}`,
      EXIT.system,
      "--keylog must name a file that this user can write",
    );
  }
  log.warning(
    `the secrets of all connections are written to ${file}`,
    "a reader of that file can decrypt them; leave out --keylog in production",
  );
}

/** Returns the handlers of signals for this server. `ended`: called when programs get SIGKILL. A
 *  function that never returns can only be ended with the process. */
function signalHandlers(
  server: Server,
  { reload, ended, endpoint, options: { drainTimeout }, inherited }: {
    reload: () => void;
    ended: (() => void) | undefined;
    endpoint: MetricsEndpoint | undefined;
    options: Options;
    inherited: InheritedListener | undefined;
  },
): SignalHandlers {
  const end = (grace: number): void => {
    endpoint?.close();
    server.end(grace);
    if (ended) setTimeout(ended, grace);
  };
  return {
    drain() {
      endpoint?.close(); // so that a successor can bind it as soon as the port
      server.drain(undefined, inherited === undefined);
      endAfter(drainTimeout, () => end(GRACE));
    },
    end,
    reload,
    signalPrograms: (signal) => server.signalPrograms(signal),
  };
}

function begin(
  services: Services,
  address: ListenAddress,
  inherited: InheritedListener | undefined,
): Server {
  const { runtime } = services;
  const { libc } = runtime;
  if (!inherited || !libc) {
    const warn = (text: string): void => services.log.warning(text);
    return serveConnections(
      (...callbacks) => listen(runtime, address, warn, ...callbacks),
      services,
    );
  }
  checkInheritedAddress(inherited, address, libc);
  const { fd } = inherited;
  return serveConnections(
    (...callbacks) => runtime.listenDescriptor(fd, address.backlog, ...callbacks),
    services,
  );
}

/** Opens the metrics endpoint of a server in one process, if --metrics is given, and logs it.
 *  Throws `FatalError`. */
export async function metricsEndpoint(services: Services): Promise<MetricsEndpoint | undefined> {
  const { options, metrics: { registry }, log } = services;
  if (!options.metrics || !registry) return undefined;
  describeServer(registry, services);
  return await openEndpoint(options.metrics, log, { text: () => expose(registry.families()) });
}
