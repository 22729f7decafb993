/** Types and functions for the environment variables: which names exist, and who may read or set
 *  them. variables_of_server.ts lists the variables that the server reads,
 *  variables_of_connection.ts those that it sets for programs. No other file lists such names.
 *  Each reader parses its values. */

import { DEFAULT_PATH } from "../runtime/look_up.ts";
import { CONNECTION_VARIABLES, type ConnectionRow } from "./variables_of_connection.ts";
import { SERVER_VARIABLES, type ServerRow } from "./variables_of_server.ts";

type Row = (typeof SERVER_VARIABLES)[number];

/** A variable that the server reads. */
export type VariableName = Row["names"][number];
/** A variable that a rule can set. */
export type RuleVariable = Extract<Row, { rule: true }>["names"][number];
/** A variable that can be set for a server name, as in `CERTFILE:www.example`. */
export type CertificateVariable = Extract<Row, { perName: true }>["names"][number];
/** A variable that describes the connection to a program. */
export type ConnectionVariable =
  | (typeof CONNECTION_VARIABLES)[number]["names"][number]
  | `SSL_${"SERVER" | "CLIENT"}_${string}`;

/** The environment of the server. It may contain other names, which only programs read. */
export type Env =
  & { readonly [Name in VariableName]?: string | undefined }
  & { readonly [name: `${CertificateVariable}:${string}`]: string | undefined };

/** The environment of a program. */
export type ProgramEnv = { readonly [Name in ConnectionVariable]?: string | undefined };

/** The variables that rules set for a connection, or remove (undefined). Other names are possible;
 *  only programs read them. */
export interface RuleVariables extends Iterable<[name: string, value: string | undefined]> {
  readonly size: number;
  /** Undefined also for a variable that a rule removes; `has` tells the difference. */
  get(name: RuleVariable): string | undefined;
  has(name: RuleVariable): boolean;
}

/** Returns a variable of `env` with `overlay` (a rule's variables) on top. */
export function overlaid(
  name: RuleVariable,
  overlay: RuleVariables | undefined,
  env: (name: RuleVariable) => string | undefined,
): string | undefined {
  return overlay?.has(name) ? overlay.get(name) : env(name);
}

/** Default values. */
export const DEFAULTS = {
  TLS_MIN_VERSION: "TLSv1.2",
  TLS_MAX_VERSION: "TLSv1.3",
  VERIFYDEPTH: "1",
  PATH: DEFAULT_PATH,
} as const satisfies Env;

const ROWS: readonly ServerRow[] = SERVER_VARIABLES;
const BY_NAME = new Map<string, ServerRow>();
for (const row of ROWS) for (const name of row.names) BY_NAME.set(name, row);

type Reader = Extract<Row, { reader: string }>["reader"];
type ReadBy<File extends Reader> = Extract<Row, { reader: File }>["names"][number];

/** The names that one file reads. A plain loop, because every start runs it. */
function readBy<File extends Reader>(file: File): readonly ReadBy<File>[] {
  const names: string[] = [];
  for (const row of ROWS) if (row.reader === file) names.push(...row.names);
  return names as readonly string[] as readonly ReadBy<File>[];
}

/** All variables that `tlsConfig` reads: equal values give an equal context. */
export const TLS_VARIABLES = readBy("tls/settings.ts");
/** All variables that decide how clients are verified: equal values give an equal `ClientAuth`. */
export const CLIENT_AUTH_VARIABLES = readBy("tls/client_auth.ts");
/** Variables that no runtime supports. */
export const UNSUPPORTED_VARIABLES = readBy("tls/unsupported.ts");
/** The limits on connections of an address or a network. */
export const LIMIT_VARIABLES = readBy("admit/limits.ts");
/** The identity of workers. */
export const IDENTITY_VARIABLES = readBy("privsep/identity.ts");

/** The first name for which `is` returns true, among the names that only this server reads. A
 *  similar name is probably a misspelling. */
export function findOwn(is: (name: VariableName) => boolean): VariableName | undefined {
  for (const { names, supervisor, unsupported, shared } of ROWS) {
    if (supervisor || unsupported || shared) continue;
    const found = (names as readonly VariableName[]).find(is);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The parts of `CERTFILE:www.example`; undefined for a name of another form. */
export function ofServerName(
  name: string,
): { variable: CertificateVariable; serverName: string } | undefined {
  const colon = name.indexOf(":");
  if (colon < 0) return undefined;
  const variable = name.slice(0, colon);
  if (!hasServerNames(variable)) return undefined;
  return { variable, serverName: name.slice(colon + 1) };
}

/** True for `CERTFILE` and the others that can be set for a server name. */
export function hasServerNames(name: string): name is CertificateVariable {
  return BY_NAME.get(name)?.perName === true;
}

/** `CERTFILE:www.example` has the row of `CERTFILE`. */
function serverRow(name: string): ServerRow | undefined {
  return BY_NAME.get(ofServerName(name)?.variable ?? name);
}

/** True for a name in one of the tables. */
export function isListed(name: string): boolean {
  return serverRow(name) !== undefined || CONNECTION_NAMES.has(name) ||
    MONITOR_NAMES.has(name);
}

/** True for a variable that a rule can set. */
export function isForRules(name: string): boolean {
  return serverRow(name)?.rule === true;
}

/** What `value` names: a file, files or a folder. Undefined: none of them. */
export function holds(name: string, value: string): ServerRow["holds"] {
  if (name === "CCAFILE" && value === "-") return undefined; // it switches the request off
  return serverRow(name)?.holds;
}

/** True for a variable that no program may get, whether from the server or from a rule. */
export function isSecret(name: string): boolean {
  return serverRow(name)?.secret === true;
}

/** True for a variable that programs inherit from the server. */
export function isInherited(name: string): boolean {
  const row = serverRow(name);
  return !row?.secret && !row?.supervisor && !isConnectionVariable(name);
}

/** Prefixes of mod_ssl's names. Another server may have set more of them than the table has. */
const MOD_SSL = ["SSL_CIPHER", "SSL_VERSION_", "SSL_SERVER_", "SSL_CLIENT_"];

const CONNECTION_NAMES = new Set<string>();
const MONITOR_NAMES = new Set<string>();
for (const { names, monitor } of CONNECTION_VARIABLES as readonly ConnectionRow[]) {
  for (const name of names) (monitor ? MONITOR_NAMES : CONNECTION_NAMES).add(name);
}

/** True for a variable that describes a connection. Programs do not inherit it: they must not
 *  take an old `SSL_CLIENT_VERIFY` for that of their client. */
export function isConnectionVariable(name: string): boolean {
  return isFromWorker(name) || MONITOR_NAMES.has(name);
}

/** True for a variable that a worker may set for a program. */
export function isFromWorker(name: string): boolean {
  return CONNECTION_NAMES.has(name) || MOD_SSL.some((prefix) => name.startsWith(prefix));
}

/** The part of `env` that a worker gets. */
export function workerEnvironment(env: Env): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && serverRow(name)?.worker) seen[name] = value;
  }
  return seen;
}
