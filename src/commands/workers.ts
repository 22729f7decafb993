/** The command with workers: from options to a monitor that runs, and its signals. */

import fs from "node:fs";
import { type Env, readPassword, selfSigned } from "../assemble.ts";
import { onSignals } from "./signals.ts";
import type { Supervised } from "./single.ts";
import { keepGoing } from "../services.ts";
import { Unsupported } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import { checkOperands } from "../supervisor/listen_fds.ts";
import { type ListenAddress, listenSocket, literalHost, portNumber } from "../accept/listen.ts";
import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import { shutDebugger } from "./privileges.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import type { Runtime, SelfCommand } from "../runtime/runtime.ts";
import { type Bound, logServing } from "./serving.ts";
import { baseEnvironment } from "../program/start.ts";
import { type Identity, workerIdentity } from "../privsep/identity.ts";
import { Monitor } from "../privsep/monitor/monitor.ts";
import { openNull } from "../privsep/null_device.ts";
import { programUser } from "../privsep/monitor/program_user.ts";

/** What it takes to have workers. */
export interface Means {
  libc: Libc;
  self: SelfCommand;
  identity: Identity;
  workers: number;
}

/** How many workers there shall be, and with what; undefined: one process does everything. Throws
 *  `Unsupported` where they were asked for and cannot be had. `main`: see `Runtime.selfCommand`. */
export function means(
  options: Options,
  env: Env,
  runtime: Runtime,
  main: string,
): Means | undefined {
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
    "deno run wants --allow-ffi and --allow-run for itself, say --allow-run; or use --workers 0",
  );
}

/** Serves until SIGTERM. Throws `FatalError`. */
export async function supervise(
  options: Options,
  argv: readonly string[],
  env: Env,
  runtime: Runtime,
  log: Log,
  { libc, self, identity, workers }: Means,
  { inherited, tell }: Supervised,
): Promise<void> {
  libc.raiseFileLimit();
  libc.clearAmbient(); // for workers and programs; the monitor needs its own set to listen
  programUser(options, runtime, baseEnvironment(env)); // says now what it could not do later
  const password = readPassword(options, runtime);
  const keyPair = selfSigned(options, log);
  const literal = literalHost(options.host);
  let bound: Bound = { ip: "", port: 0, dualStack: false };
  const monitor = new Monitor({
    options,
    argv,
    env,
    base: baseEnvironment(env),
    runtime,
    libc,
    log,
    self,
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
      if (inherited) checkOperands(inherited, address, libc);
      const fd = inherited?.fd ?? listenSocket(libc, address, (text) => log.warning(text));
      const { ip: own, port, family } = libc.getsockname(fd);
      bound = { ip: own, port, dualStack: family === 6 && !libc.v6only(fd) };
      return fd;
    },
  });
  if (libc.confines) libc.prctlDumpable(false); // it knows passwords, and may be of the programs' user
  try {
    onSignals(runtime, tell, monitor);
    shutDebugger(runtime, log);
    await Promise.race([monitor.start(), monitor.closed]);
    if (monitor.draining) return await monitor.leave();
    logServing(log, bound, options, runtime, { workers, identity });
    if (options.printPort) fs.writeSync(1, `${bound.port}\n`);
    tell.ready();
  } catch (error) {
    await monitor.abandon();
    throw error;
  }
  keepGoing(log);
  await monitor.closed;
  await monitor.leave();
}
