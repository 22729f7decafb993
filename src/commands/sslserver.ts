/** The command `sslserver`: from arguments to a running server and an exit code. */

import fs from "node:fs";
import process from "node:process";
import { assemble, type Env } from "../assemble.ts";
import { check } from "./check.ts";
import type { Deps } from "../deps.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";
import { Log } from "../log.ts";
import { type Endpoint, listenMetrics } from "../metrics/endpoint.ts";
import { expose } from "../metrics/exposition.ts";
import { describeServer } from "../metrics/server.ts";
import { type Options, parseOptions, USAGE } from "../options.ts";
import { print } from "./print.ts";
import { dropPrivileges } from "../privileges.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { serve, type Server } from "../serve.ts";

/** How long programs may take to obey the second SIGTERM, in milliseconds. */
const GRACE = 5000;

/** Runs the server to its end. Never rejects. `loadRuntime` is called once there is work for it. */
export async function sslserver(
  argv: readonly string[],
  env: Env,
  loadRuntime: () => Promise<Runtime>,
): Promise<number> {
  let log = new Log({ verbosity: 1, form: "text", name: "sslserver" });
  try {
    const request = parseOptions(argv, env);
    if ("print" in request) {
      await print(request);
      return EXIT.ok;
    }
    const options = request.serve;
    log = new Log({ verbosity: options.verbosity, form: options.log, name: "sslserver" });
    const runtime = await loadRuntime();
    if (options.check) return await check(options, env, runtime);
    await run(options, env, runtime, log);
    log.flush();
    return EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) {
      log.fatal(error.message);
      fs.writeSync(2, `sslserver: usage: ${USAGE}\n`);
      return error.code;
    }
    if (error instanceof FatalError) {
      log.fatal(error.message, error.hint);
      return error.code;
    }
    log.fatal(`unable to go on: ${reason(error)}`);
    return EXIT.system;
  }
}

async function run(options: Options, env: Env, runtime: Runtime, log: Log): Promise<void> {
  const { address, deps, reload, close } = await assemble(options, env, runtime, log);
  const endpoint = await metricsEndpoint(deps);
  let server: Server | undefined;
  try {
    server = serve(address, deps);
    dropPrivileges(options, runtime, log);
    // Before the port is told: who waits for it may send a signal at once.
    onSignals(runtime, server, reload, endpoint);
    if (options.printPort) fs.writeSync(1, `${server.port}\n`);
  } catch (error) {
    server?.end();
    endpoint?.close();
    throw error;
  }
  keepGoing(log);
  await server.closed;
  close();
}

/** Where the metrics are fetched, when somebody wants them. */
async function metricsEndpoint(deps: Deps): Promise<Endpoint | undefined> {
  const { options, metrics: { registry }, log } = deps;
  if (!options.metrics || !registry) return undefined;
  describeServer(registry, deps);
  const endpoint = await listenMetrics(options.metrics, {
    text: () => expose(registry.families()),
    onError: (error) => log.error(`unable to answer with metrics: ${reason(error)}`),
  });
  log.notice(`metrics at ${endpoint.where}`, { metrics: endpoint.where });
  return endpoint;
}

/** A mistake of ours in one connection's callback must not end all others. */
function keepGoing(log: Log): void {
  const report = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    log.error(`internal error, please report it: ${stack.replaceAll(/\s+/g, " ")}`);
  };
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}

/** TERM drains, and ends at the second time; HUP reads again. */
function onSignals(
  runtime: Runtime,
  server: Server,
  reload: () => void,
  endpoint: Endpoint | undefined,
): void {
  let stopping = false;
  const stop = (): void => {
    endpoint?.close(); // a successor may bind it as early as the port
    if (!stopping) server.drain();
    else server.end(GRACE);
    stopping = true;
  };
  runtime.onSignal("SIGTERM", stop);
  runtime.onSignal("SIGINT", stop);
  runtime.onSignal("SIGHUP", reload);
  runtime.onSignal("SIGPIPE", () => {});
}
