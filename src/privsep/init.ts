/** What a worker is told when it starts, and which part of the environment it may see: the settings
 *  that it works with, and nothing that only programs are meant to have. */

import type { Options } from "../config/options.ts";
import type { KeyPair } from "../runtime/runtime.ts";
import { CLIENT_AUTH_VARIABLES } from "../tls/client_auth.ts";
import { CERTIFICATE_VARIABLES, TLS_VARIABLES } from "../tls/settings.ts";
import type { Wanted } from "./handed_files.ts";
import type { Identity } from "./identity.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** In JSON, from the monitor. */
export interface Init {
  /** The monitor's: its worker is of the same. */
  readonly version: string;
  /** The command line, which is parsed again. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly identity: Identity;
  /** How many workers there are, and which of them this is, from 0. */
  readonly workers: number;
  readonly slot: number;
  /** This one speaks for all where one line is enough. */
  readonly speaks: boolean;
  /** It takes the place of one that has ended: what was said at start has been said. */
  readonly again: boolean;
  /** The host is a name, which the worker is to look up. */
  readonly resolve: boolean;
  /** A supervisor has the listening socket too, and keeps it. */
  readonly inherited: boolean;
  /** Of encrypted keys (-3). */
  readonly password?: string;
  /** --self-signed. */
  readonly keyPair?: KeyPair;
}

/** What a worker reads beside the settings of TLS. */
export const OTHER_VARIABLES = [
  "DHFILE",
  "DNSCACHEIP",
  "DNSREWRITEFILE",
  "LOCALDOMAIN",
  "MAXCONIP",
  "MAXCONNET",
  "MAXCONRATE",
  "SNI_STRICT",
  "TICKETKEYFILE",
  "UID",
  "GID",
  "GIDLIST",
];

const SEEN: ReadonlySet<string> = new Set([
  ...TLS_VARIABLES,
  ...CLIENT_AUTH_VARIABLES,
  ...OTHER_VARIABLES,
]);

/** `CERTFILE:name` and the like. */
function isOfOneName(name: string): boolean {
  const [kind = "", ...rest] = name.split(":");
  return rest.length > 0 && CERTIFICATE_VARIABLES.has(kind);
}

/** The part of `env` that a worker sees. */
export function workerEnvironment(env: Env): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (SEEN.has(name) || isOfOneName(name))) seen[name] = value;
  }
  return seen;
}

/** What a worker opens later: only rules can name such files. */
export function filesOf(
  { rules, earlyRules }: Pick<Options, "rules" | "earlyRules">,
): "none" | "read" {
  return rules === undefined && earlyRules === undefined ? "none" : "read";
}

/** Where the resolver's settings are; see dns/config.ts. */
const DNS_FILES = ["/etc/resolv.conf", "/etc/dnsrewrite", "/etc/dnswritefile"];

/** The files that options and environment name. */
export function wantedFiles(options: Options, env: Env): Wanted[] {
  const wanted = new Map<string, Wanted>();
  const want = (kind: Wanted["kind"], path: string | undefined): void => {
    if (path && wanted.get(path)?.kind !== "files") wanted.set(path, { path, kind });
  };
  for (const path of DNS_FILES) want("file", path);
  want("file", env["DNSREWRITEFILE"]);
  for (const [name, value] of Object.entries(env)) {
    const [kind = ""] = name.split(":");
    if (value && CERTIFICATE_VARIABLES.has(kind)) {
      want(value.includes(":") ? "files" : "file", value);
    }
  }
  for (const name of ["CAFILE", "CCAFILE", "CRLFILE"]) {
    if (env[name] !== "-") want("file", env[name]);
  }
  for (const name of ["CADIR", "CCADIR"]) want("folder", env[name]);
  want("rules", options.rules);
  want("rules", options.earlyRules);
  return [...wanted.values()];
}
