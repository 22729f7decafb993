/** Stage 4: the program's environment, and the program.
 *
 *  The environment is what the server got, minus secrets and minus everything that speaks of a
 *  connection; then what this connection is; then what its rules set. A value that is not known is
 *  absent: a program must never take an inherited one for its client's. */

import type { Connection, Peer } from "./connection.ts";
import type { Deps } from "./deps.ts";
import { FatalError, reason } from "./errors.ts";
import { type Handler, startHandler } from "./handler.ts";
import { DELAYED_FD, type Program } from "./runtime/runtime.ts";
import { type Channel, channelVariables } from "./tls.ts";
import { isTlsVariable } from "./tls/variables.ts";

/** Never handed to the program (SPEC 3), in any spelling (`KEYFILE:name` belongs to one SNI name). */
function isSecret(name: string): boolean {
  return name === "KEYFILE" || name.startsWith("KEYFILE:") || name === "SSL_CHROOT" ||
    name === "TICKETKEYFILE";
}

/** Speaks of one connection. */
function isConnectionVariable(name: string): boolean {
  return name === "PROTO" || name === "SSLINTERFACE" || name === "TCP6INTERFACE" ||
    /^(?:SSL|TCP|TCP6)(?:LOCAL|REMOTE)(?:HOST|IP|PORT|INFO)$/.test(name) ||
    /^SSL(?:CTL|READ|WRITE)FD$/.test(name) || isTlsVariable(name) ||
    /^PROXY_(?:IP|PORT|AUTHORITY|ALPN|UNIQUE_ID|TLS_[A-Z_]+)$/.test(name);
}

/** What every program of this server gets: made once, at start. */
export function baseEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const base: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !isSecret(name) && !isConnectionVariable(name)) base[name] = value;
  }
  return base;
}

export interface EnvironmentOptions {
  /** -e. */
  tcpVariables: boolean;
  /** -6 sets PROTO and the TCP6 variables, with or without -e. */
  family: 4 | 6 | undefined;
}

/** The environment of one program. `tls` are the mod_ssl variables (-s). */
export function environment(
  base: Readonly<Record<string, string>>,
  conn: Connection,
  options: EnvironmentOptions,
  tls?: ReadonlyMap<string, string>,
): Record<string, string> {
  const env: Record<string, string> = { ...base };
  const six = conn.remote.ip.includes(":");
  const tcp6 = six && (options.tcpVariables || options.family === 6);
  env["PROTO"] = tcp6 ? "TCP6" : options.tcpVariables ? "TCP" : "TLS";
  setEnds(env, "SSL", conn);
  if (options.tcpVariables) setEnds(env, "TCP", conn);
  if (tcp6) setEnds(env, "TCP6", conn);
  if (six && conn.interface) {
    env["SSLINTERFACE"] = conn.interface;
    if (tcp6) env["TCP6INTERFACE"] = conn.interface;
  }
  for (const [name, value] of conn.proxy?.variables ?? []) env[name] = value;
  if (tls) { for (const [name, value] of tls) env[name] = value; }
  for (const [name, value] of conn.variables) if (!isSecret(name)) env[name] = value;
  return env;
}

function setEnds(env: Record<string, string>, prefix: string, { local, remote }: Connection): void {
  setEnd(env, `${prefix}LOCAL`, local);
  setEnd(env, `${prefix}REMOTE`, remote);
  if (remote.info !== undefined) env[`${prefix}REMOTEINFO`] = remote.info;
}

function setEnd(env: Record<string, string>, prefix: string, { ip, port, host }: Peer): void {
  env[`${prefix}IP`] = ip;
  env[`${prefix}PORT`] = String(port);
  if (host !== undefined) env[`${prefix}HOST`] = host;
}

/** Starts the program of a connection; without a channel (UCSPI-TLS) it starts in the clear.
 *  Throws `FatalError`. */
export function start(conn: Connection, deps: Deps, channel?: Channel): Program {
  const { options, log, runtime } = deps;
  const tls = channel && options.tlsVariables ? channelVariables(channel, deps) : undefined;
  if (deps.handler && channel) return startInProcess(deps.handler, conn, deps, channel);
  const env = environment(deps.baseEnvironment, conn, options, tls);
  if (!channel) {
    env["SSLCTLFD"] = String(DELAYED_FD.control);
    env["SSLREADFD"] = String(DELAYED_FD.read);
    env["SSLWRITEFD"] = String(DELAYED_FD.write);
  }
  let program: Program;
  try {
    program = runtime.spawn({ command: options.command, env, delayed: !channel });
  } catch (error) {
    throw new FatalError(`unable to run ${options.command[0]}: ${reason(error)}`);
  }
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
  const { log, options } = deps;
  const facts = {
    local: conn.local,
    remote: conn.remote,
    environment: environment({}, conn, options, channelVariables(channel, deps)),
    peerCertificates: channel.session?.peerCertificates ?? [],
  };
  const program = startHandler(handler, facts, (error) => {
    log.error(`the handler failed: ${reason(error)} (connection from ${conn.remote.ip})`);
  });
  log.pid(program.pid, conn);
  log.ok(program.pid, conn);
  return program;
}
