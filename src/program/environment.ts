/** The environment of a program: the server's environment without secrets and without variables of
 *  a connection; then the variables of this connection; then those that its rules set. A variable
 *  whose value is not known is absent, so that a program never takes an inherited value for its
 *  client's. */

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

/** The part that all programs of this server get. Made once, at start. */
export function baseEnvironment(env: Env): Record<string, string> {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && isInherited(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept); // an assignment would not set a variable named __proto__
}

export interface EnvironmentOptions {
  /** -e. */
  tcpVariables: boolean;
  /** -6 sets PROTO and the TCP6 variables, with or without -e. */
  family: 4 | 6 | undefined;
  /** --variables; absent: `ucspi`. */
  variables?: "ucspi" | "s6";
}

/** The part of a connection that the variables describe. */
export type DescribedConnection =
  & Pick<Connection, "local" | "remote" | "interface" | "proxy">
  & Partial<Pick<Connection, "reservation">>;

/** The variables that describe a connection. `tls`: those of its TLS session. */
export function connectionVariables(
  conn: DescribedConnection,
  options: EnvironmentOptions,
  tls?: ReadonlyMap<ConnectionVariable, string>,
): Map<ConnectionVariable, string> {
  const env = new Map<ConnectionVariable, string>();
  if (options.variables === "s6") setS6(env, conn);
  else setUcspi(env, conn, options);
  for (const [name, value] of conn.proxy?.variables ?? []) env.set(name, value);
  if (tls) { for (const [name, value] of tls) env.set(name, value); }
  return env;
}

function setS6(env: Map<ConnectionVariable, string>, conn: DescribedConnection): void {
  env.set("PROTO", "TCP");
  setEnds(env, "TCP", conn);
  const others = conn.reservation?.others;
  if (others !== undefined) env.set("TCPCONNNUM", String(others));
}

function setUcspi(
  env: Map<ConnectionVariable, string>,
  conn: DescribedConnection,
  options: EnvironmentOptions,
): void {
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
}

function setEnds(
  env: Map<ConnectionVariable, string>,
  prefix: "SSL" | "TCP" | "TCP6",
  { local, remote }: DescribedConnection,
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

/** The request of a connection to start its program. */
export interface ProgramRequest {
  /** The program starts in the clear (UCSPI-TLS). */
  readonly delayed: boolean;
  /** The variables that describe the connection: only names that are `isFromWorker`. */
  readonly variables: ReadonlyMap<string, string>;
  /** The variables that its rules set or remove; any name is possible. */
  readonly rules: RuleVariables;
  /** What its rules run in place of the program: a path and its arguments. */
  readonly command?: readonly string[] | undefined;
  /** The client's address, name and ident answer, by which its rules were found. */
  readonly peer: { readonly ip: string; readonly host?: string; readonly info?: string };
}

/** The environment of one program: `base`, then the variables of the connection, then those of its
 *  rules (undefined removes one), without secrets. An interface given by number (`%2`) is replaced
 *  by its name here, with `libc`: a worker's sandbox cannot look it up. */
export function programEnvironment(
  base: Readonly<Record<string, string>>,
  { variables, delayed }: Pick<ProgramRequest, "variables" | "delayed">,
  rules: Iterable<[name: string, value: string | undefined]>,
  libc: Pick<Libc, "interfaceName"> | undefined,
): Record<string, string> {
  const env: Record<string, string> = Object.assign(Object.create(null), base);
  for (const [name, value] of variables) env[name] = value;
  nameInterface(env, "SSLINTERFACE", libc);
  nameInterface(env, "TCP6INTERFACE", libc);
  for (const [name, value] of rules) {
    if (value === undefined) delete env[name];
    else if (!isSecret(name)) env[name] = value;
  }
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
