/** Stage 4: the program of a connection, or the handler in its place. */

import type { Connection, Peer, RemotePeer, RunningProgram } from "../connection.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import type { Log } from "../log.ts";
import type { Options } from "../config/options.ts";
import { channelVariables, s6Variables, type TlsChannel } from "../tls/handshake.ts";
import {
  connectionVariables,
  type EnvironmentOptions,
  programEnvironment,
  type ProgramRequest,
} from "./environment.ts";
import type { ConnectionHandler, HandlerFacts } from "./handler.ts";
import type { Programs } from "./programs.ts";

/** What a start needs beyond the connection. */
export interface StartServices {
  runtime: Pick<Runtime, "tlsLibrary" | "libc">;
  options: EnvironmentOptions & Pick<Options, "tlsVariables">;
  log: Log;
  programs: Programs;
  /** Serves connections in this process, in place of a program. */
  handler: ConnectionHandler | undefined;
}

/** Starts the program of a connection in its slot; without a channel, in the clear (UCSPI-TLS).
 *  Rejects with `ConnectionError`, also if the connection is given up while it waits. */
export async function start(
  conn: Connection,
  services: StartServices,
  channel?: TlsChannel,
): Promise<RunningProgram> {
  const { programs, handler } = services;
  const slot = conn.slot ??= await programs.slot(conn);
  const kept = slot.secure(conn);
  if (kept) {
    channel?.stream.pause(); // so that a waiting client fills no memory here
    await kept;
  }
  if (handler && channel) return programs.hold(slot, handler, new Facts(conn, services, channel));
  return await programs.start(requestOf(conn, services, channel), slot, conn.signal);
}

function requestOf(
  conn: Connection,
  services: StartServices,
  channel: TlsChannel | undefined,
): ProgramRequest {
  const { ip, host, info } = conn.remote;
  const tls = channel && sessionVariables(channel, services);
  return {
    delayed: channel === undefined,
    variables: connectionVariables(conn, services.options, tls),
    rules: conn.variables,
    command: conn.command,
    peer: { ip, ...(host ? { host } : {}), ...(info ? { info } : {}) },
  };
}

/** What a handler may ask about its connection. */
class Facts implements HandlerFacts {
  #environment: Readonly<Record<string, string>> | undefined;

  constructor(
    readonly conn: Connection,
    readonly services: StartServices,
    readonly channel: TlsChannel,
  ) {}

  get local(): Peer {
    return this.conn.local;
  }

  get remote(): RemotePeer {
    return this.conn.remote;
  }

  get environment(): Readonly<Record<string, string>> {
    return this.#environment ??= this.#variables();
  }

  get peerCertificates(): readonly Uint8Array[] {
    return this.channel.session?.peerCertificates ?? [];
  }

  get reused(): boolean {
    return this.channel.session?.reused ?? false;
  }

  get hello(): Uint8Array | undefined {
    return this.channel.hello;
  }

  failed(error: unknown): void {
    this.services.log.handlerFailed(this.conn.remote.ip, error);
  }

  #variables(): Record<string, string> {
    const { conn, services, channel } = this;
    const { options, runtime: { libc } } = services;
    const variables = connectionVariables(conn, options, channelVariables(channel, services));
    return programEnvironment({}, { variables, delayed: false }, conn.variables, libc);
  }
}

/** The variables of the TLS session that the options ask for. */
function sessionVariables(
  channel: TlsChannel,
  services: StartServices,
): Map<ConnectionVariable, string> | undefined {
  const { tlsVariables, variables } = services.options;
  const own = tlsVariables ? channelVariables(channel, services) : undefined;
  return variables === "s6" ? new Map([...own ?? [], ...s6Variables(channel)]) : own;
}
