/** The environment of a program: what the server got, minus secrets and minus everything that speaks of
 *  a connection; then what this connection is; then what its rules set. A value that is not known is
 *  absent: a program must never take an inherited one for its client's. */

import {
  type ConnectionVariable,
  type Env,
  isInherited,
  isSecret,
  type RuleVariables,
} from "../config/variables.ts";
import type { Connection, Peer } from "../connection.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { DELAYED_FD } from "../runtime/runtime.ts";

/** What every program of this server gets: made once, at start. */
export function baseEnvironment(env: Env): Record<string, string> {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && isInherited(name)) kept.push([name, value]);
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
  tls?: ReadonlyMap<ConnectionVariable, string>,
): Map<ConnectionVariable, string> {
  const env = new Map<ConnectionVariable, string>();
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

function setEnds(
  env: Map<ConnectionVariable, string>,
  prefix: "SSL" | "TCP" | "TCP6",
  { local, remote }: Connection,
): void {
  setEnd(env, `${prefix}LOCAL`, local);
  setEnd(env, `${prefix}REMOTE`, remote);
  if (remote.info !== undefined) env.set(`${prefix}REMOTEINFO`, remote.info);
}

function setEnd(
  env: Map<ConnectionVariable, string>,
  prefix: `${"SSL" | "TCP" | "TCP6"}${"LOCAL" | "REMOTE"}`,
  { ip, port, host }: Peer,
): void {
  env.set(`${prefix}IP`, ip);
  env.set(`${prefix}PORT`, String(port));
  if (host !== undefined) env.set(`${prefix}HOST`, host);
}

/** What a connection wants started. */
export interface ProgramRequest {
  /** It starts in the clear (UCSPI-TLS). */
  readonly delayed: boolean;
  /** What the connection is: only names that are `isFromWorker`. */
  readonly variables: ReadonlyMap<string, string>;
  /** What its rules set: any name. */
  readonly rules: RuleVariables;
  /** Whose rules these are. */
  readonly peer: { readonly ip: string; readonly host?: string; readonly info?: string };
}

/** The environment of one program: `base`, then what the connection is, then what its rules set. An
 *  interface that is given by number gets its name by `libc`: a worker's sandbox can look none up. */
export function programEnvironment(
  base: Readonly<Record<string, string>>,
  { variables, delayed }: Pick<ProgramRequest, "variables" | "delayed">,
  rules: Iterable<[name: string, value: string]>,
  libc: Pick<Libc, "interfaceName"> | undefined,
): Record<string, string> {
  const env: Record<string, string> = Object.assign(Object.create(null), base);
  for (const [name, value] of variables) env[name] = value;
  nameInterface(env, "SSLINTERFACE", libc);
  nameInterface(env, "TCP6INTERFACE", libc);
  for (const [name, value] of rules) if (!isSecret(name)) env[name] = value;
  if (delayed) {
    put(env, "SSLCTLFD", String(DELAYED_FD.control));
    put(env, "SSLREADFD", String(DELAYED_FD.read));
    put(env, "SSLWRITEFD", String(DELAYED_FD.write));
  }
  return env;
}

function put(env: Record<string, string>, name: ConnectionVariable, value: string): void {
  env[name] = value;
}

function nameInterface(
  env: Record<string, string>,
  variable: ConnectionVariable,
  libc: Pick<Libc, "interfaceName"> | undefined,
): void {
  const [, index] = /^%([0-9]{1,9})$/.exec(env[variable] ?? "") ?? [];
  if (index === undefined) return;
  const name = libc?.interfaceName(Number(index));
  if (name === undefined) delete env[variable];
  else env[variable] = name;
}
