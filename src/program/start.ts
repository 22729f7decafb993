/** Stage 4: the program of a connection, or the handler in its place. */

import type { Connection, RunningProgram } from "../connection.ts";
import type { Program, Runtime } from "../runtime/runtime.ts";
import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import { channelVariables, type TlsChannel } from "../tls/handshake.ts";
import { connectionVariables, type EnvironmentOptions, programEnvironment } from "./environment.ts";
import { type Handler, startHandler } from "./handler.ts";
import type { DirectPrograms, Programs } from "./programs.ts";

/** What a start needs beyond the connection. */
export interface StartServices {
  runtime: Pick<Runtime, "tlsLibrary" | "libc">;
  options: EnvironmentOptions & Pick<Options, "tlsVariables">;
  log: Log;
  programs: Programs;
  /** Of the library: serves connections in this process, in place of a program. */
  handler: { serve: Handler; programs: DirectPrograms } | undefined;
}

/** Starts the program of a connection in its slot; without a channel, in the clear (UCSPI-TLS).
 *  Rejects with `ConnectionError`, also if the connection is given up while it waits. */
export async function start(
  conn: Connection,
  services: StartServices,
  channel?: TlsChannel,
): Promise<RunningProgram> {
  const { options, programs, handler } = services;
  const slot = conn.slot ??= await programs.slot(conn.signal);
  const kept = slot.secure(conn.signal);
  if (kept) {
    channel?.stream.pause(); // so that a waiting client fills no memory here
    await kept;
  }
  const begin = (): Promise<RunningProgram> => {
    const { ip, host, info } = conn.remote;
    const tls = channel && options.tlsVariables ? channelVariables(channel, services) : undefined;
    const request = {
      delayed: channel === undefined,
      variables: connectionVariables(conn, options, tls),
      rules: conn.variables,
      peer: { ip, ...(host ? { host } : {}), ...(info ? { info } : {}) },
    };
    return programs.start(request, slot, conn.signal);
  };
  if (!handler || !channel) return await begin();
  return handler.programs.hold(slot, () => startInProcess(handler.serve, conn, services, channel));
}

function startInProcess(
  handler: Handler,
  conn: Connection,
  services: StartServices,
  channel: TlsChannel,
): Program {
  const { log, options, runtime: { libc } } = services;
  const variables = connectionVariables(conn, options, channelVariables(channel, services));
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
