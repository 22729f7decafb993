/** Stage 4: the program of a connection, or the handler in its place. */

import type { Connection } from "../connection.ts";
import type { Program, Runtime } from "../runtime/runtime.ts";
import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import { type Channel, channelVariables } from "../tls/handshake.ts";
import { connectionVariables, type EnvironmentOptions, programEnvironment } from "./environment.ts";
import { type Handler, startHandler } from "./handler.ts";
import type { DirectPrograms, Programs, StartedProgram } from "./programs.ts";

/** What a start needs beyond the connection. */
export interface StartDeps {
  runtime: Pick<Runtime, "tlsLibrary" | "libc">;
  options: EnvironmentOptions & Pick<Options, "tlsVariables" | "concurrency">;
  log: Log;
  programs: Programs;
  /** Serves connections in this process, in place of a program. */
  handler: { serve: Handler; programs: DirectPrograms } | undefined;
  /** MAXCONIP of the server's environment, for the status line. */
  admission: { readonly ask: { readonly perAddress?: number | undefined } };
}

/** Starts the program of a connection in its place; without a channel (UCSPI-TLS) in the clear. Rejects
 *  with `ConnectionError`, also when the connection is given up meanwhile. */
export async function start(
  conn: Connection,
  deps: StartDeps,
  channel?: Channel,
): Promise<Program> {
  const { options, log, programs, handler } = deps;
  const place = conn.place ??= await programs.place(conn.signal);
  const kept = place.keep(conn.signal);
  if (kept) {
    channel?.stream.pause(); // whoever waits for long waits with nothing in our memory
    await kept;
  }
  const begin = (): Promise<StartedProgram> => {
    const { ip, host, info } = conn.remote;
    const tls = channel && options.tlsVariables ? channelVariables(channel, deps) : undefined;
    const request = {
      delayed: channel === undefined,
      variables: connectionVariables(conn, options, tls),
      rules: conn.variables,
      peer: { ip, ...(host ? { host } : {}), ...(info ? { info } : {}) },
    };
    return programs.start(request, place, conn.signal);
  };
  const program: StartedProgram =
    await (handler && channel
      ? handler.programs.hold(place, () => startInProcess(handler.serve, conn, deps, channel))
      : begin());
  conn.dropSignal();
  logStatus(deps, program.running);
  log.pid(program.pid, conn);
  log.ok(program.pid, conn);
  return program;
}

function startInProcess(
  handler: Handler,
  conn: Connection,
  deps: StartDeps,
  channel: Channel,
): Program {
  const { log, options, runtime: { libc } } = deps;
  const variables = connectionVariables(conn, options, channelVariables(channel, deps));
  const facts = {
    local: conn.local,
    remote: conn.remote,
    environment: programEnvironment({}, { variables, delayed: false }, conn.variables, libc),
    peerCertificates: channel.session?.peerCertificates ?? [],
  };
  return startHandler(handler, facts, (error) => {
    log.handlerFailed(conn.remote.ip, error);
  });
}

/** How many programs run, and may. */
export function logStatus(
  { log, options, programs, admission }: Pick<
    StartDeps,
    "log" | "options" | "programs" | "admission"
  >,
  running = programs.running,
): void {
  if (running === undefined) return;
  log.status(running, options.concurrency, admission.ask.perAddress ?? 0);
}
