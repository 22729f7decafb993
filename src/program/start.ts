/** Stage 4: what a connection is, as variables, and its program.
 *
 *  The environment is what the server got, minus secrets and minus everything that speaks of a
 *  connection; then what this connection is; then what its rules set. A value that is not known is
 *  absent: a program must never take an inherited one for its client's. */

import type { Connection, Peer } from "../connection.ts";
import type { Deps } from "../services.ts";
import { reason } from "../errors.ts";
import { SUPERVISOR_VARIABLES } from "../supervisor/listen_fds.ts";
import { type Handler, startHandler } from "./handler.ts";
import { isSecret, programEnvironment, type StartedProgram } from "./programs.ts";
import type { Program } from "../runtime/runtime.ts";
import { type Channel, channelVariables } from "../tls/handshake.ts";
import { isTlsVariable } from "../tls/variables.ts";

/** Speaks of one connection. */
export function isConnectionVariable(name: string): boolean {
  return name === "PROTO" || name === "SSLINTERFACE" || name === "TCP6INTERFACE" ||
    /^(?:SSL|TCP|TCP6)(?:LOCAL|REMOTE)(?:HOST|IP|PORT|INFO)$/.test(name) ||
    /^SSL(?:CTL|READ|WRITE)FD$/.test(name) || isTlsVariable(name) ||
    /^PROXY_(?:IP|PORT|AUTHORITY|ALPN|UNIQUE_ID|TLS_[A-Z_]+)$/.test(name);
}

/** What every program of this server gets: made once, at start. */
export function baseEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || SUPERVISOR_VARIABLES.includes(name)) continue;
    if (!isSecret(name) && !isConnectionVariable(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept); // unlike an assignment it takes the name __proto__
}

export interface EnvironmentOptions {
  /** -e. */
  tcpVariables: boolean;
  /** -6 sets PROTO and the TCP6 variables, with or without -e. */
  family: 4 | 6 | undefined;
}

/** What a connection is, as variables. `tls` are the mod_ssl variables (-s). */
export function connectionVariables(
  conn: Connection,
  options: EnvironmentOptions,
  tls?: ReadonlyMap<string, string>,
): Map<string, string> {
  const env = new Map<string, string>();
  const six = conn.remote.ip.includes(":");
  const tcp6 = six && (options.tcpVariables || options.family === 6);
  env.set("PROTO", tcp6 ? "TCP6" : options.tcpVariables ? "TCP" : "TLS");
  setEnds(env, "SSL", conn);
  if (options.tcpVariables) setEnds(env, "TCP", conn);
  if (tcp6) setEnds(env, "TCP6", conn);
  if (six && conn.interface) {
    env.set("SSLINTERFACE", conn.interface);
    if (tcp6) env.set("TCP6INTERFACE", conn.interface);
  }
  for (const [name, value] of conn.proxy?.variables ?? []) env.set(name, value);
  if (tls) { for (const [name, value] of tls) env.set(name, value); }
  return env;
}

function setEnds(env: Map<string, string>, prefix: string, { local, remote }: Connection): void {
  setEnd(env, `${prefix}LOCAL`, local);
  setEnd(env, `${prefix}REMOTE`, remote);
  if (remote.info !== undefined) env.set(`${prefix}REMOTEINFO`, remote.info);
}

function setEnd(env: Map<string, string>, prefix: string, { ip, port, host }: Peer): void {
  env.set(`${prefix}IP`, ip);
  env.set(`${prefix}PORT`, String(port));
  if (host !== undefined) env.set(`${prefix}HOST`, host);
}

/** Starts the program of a connection in its place; without a channel (UCSPI-TLS) in the clear. Rejects
 *  with `FatalError`, or when the connection is given up meanwhile. */
export async function start(conn: Connection, deps: Deps, channel?: Channel): Promise<Program> {
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
  deps: Deps,
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
    log.error(`the handler failed: ${reason(error)} (connection from ${conn.remote.ip})`);
  });
}

/** How many programs run, and may. */
export function logStatus(
  { log, options, programs, admission }: Deps,
  running = programs.running,
): void {
  if (running === undefined) return;
  log.status(running, options.concurrency, admission.ask.perAddress ?? 0);
}
