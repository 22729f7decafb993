/** `--check`: the summary that stands above the findings: what the server would serve, where, as which
 *  users, and with which certificates. It only describes; the findings say what is wrong. */

import type { ListenAddress } from "../accept/address.ts";
import type { HandlerChoice, Options } from "../config/options.ts";
import { readAccounts } from "../files/accounts.ts";
import { localFiles } from "../files/files.ts";
import { timeLeft } from "../tls/lifetime.ts";
import type { ProcessUser } from "./access.ts";
import { namesOf, type SitePairs } from "./certificates.ts";
import type { Actors } from "./processes.ts";

/** Maximum certificates that the summary lists; an environment can name thousands. */
const MAX_CERTIFICATES = 20;

/** One line of the summary. */
export interface SummaryLine {
  /** What the line is about: `program`, `address`, `users`, `certificate`, `clients`, `rules` … */
  readonly about: string;
  readonly text: string;
}

/** What the summary describes. */
export interface CheckedServer {
  readonly options: Options;
  readonly actors: Actors;
  /** Undefined if the start failed before it had one. */
  readonly address: ListenAddress | undefined;
  /** The certificates that can be used. */
  readonly sites: readonly SitePairs[];
  /** True if the server asks clients for a certificate. */
  readonly asksClients: boolean;
}

/** Returns the lines of the summary. `now`: milliseconds since 1970. */
export function summarize(described: CheckedServer, now = Date.now()): SummaryLine[] {
  const { options, actors, address, asksClients } = described;
  const { metrics } = options;
  return [
    served(options),
    ...address
      ? [{ about: "address", text: placeOf(address, options.proxyFrom !== undefined) }]
      : [],
    { about: "users", text: usersOf(actors, options.handler) },
    ...certificatesOf(described, now),
    { about: "clients", text: clientsOf(options, asksClients) },
    ...rulesOf(options),
    ...metrics
      ? [{
        about: "metrics",
        text: "path" in metrics ? metrics.path : joined(metrics.host, metrics.port),
      }]
      : [],
  ];
}

function served({ handler, command, concurrency, delayed }: Options): SummaryLine {
  const tls = delayed ? ", TLS when it asks (-n)" : "";
  const limit = `at most ${concurrency} at once${tls}`;
  if (!handler) return { about: "program", text: `${command.join(" ")} (${limit})` };
  return { about: "handler", text: `${nameOf(handler)} (${limit})` };
}

function nameOf(handler: HandlerChoice): string {
  if ("folder" in handler) return `${handler.kind} of ${handler.folder}`;
  return handler.kind === "handler" ? handler.file : handler.kind;
}

function placeOf({ ip, port, dualStack }: ListenAddress, proxied: boolean): string {
  const where = ip === "0.0.0.0"
    ? "all IPv4 addresses"
    : ip !== "::"
    ? ip
    : dualStack
    ? "all IPv4 and IPv6 addresses"
    : "all IPv6 addresses";
  const header = proxied ? ", with a PROXY header from some networks" : "";
  return `${where}, ${port === 0 ? "any free port" : `port ${port}`}${header}`;
}

function joined(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function usersOf({ opener, worker, program, workers }: Actors, handler: unknown): string {
  if (workers === 0) return `one process does everything, as ${userOf(opener)}`;
  const each = workers === 1 ? "1 worker" : `${workers} workers`;
  const jail = worker.jail === undefined ? "" : ` in ${worker.jail}`;
  return [
    `monitor ${userOf(opener)}`,
    `${each} ${userOf(worker)}${jail}`,
    ...handler ? [] : [`programs ${userOf(program)}`],
  ].join("; ");
}

/** Returns an id with its name, if it has one. */
function userOf({ uid, gid }: ProcessUser): string {
  let name: string | undefined;
  try {
    name = readAccounts(localFiles, "/etc/passwd").find(({ id }) => id === String(uid))?.name;
  } catch {
    name = undefined; // there need not be such a file
  }
  return `${name ?? `user ${uid}`} (${uid}:${gid})`;
}

function certificatesOf({ options, sites }: CheckedServer, now: number): SummaryLine[] {
  const about = "certificate";
  if (options.selfSigned) return [{ about, text: "a temporary one (--self-signed)" }];
  const all = sites.flatMap(({ name, pairs }) =>
    pairs.map(({ leaf, path }) => {
      const left = leaf.notAfter.ms < now ? "expired" : timeLeft(leaf, now);
      const forName = name === undefined ? "" : `for clients that ask for ${name}: `;
      return {
        about,
        text: `${forName}${path}, ${namesOf(leaf)}, until ${leaf.notAfter.text} (${left})`,
      };
    })
  );
  const more = all.length - MAX_CERTIFICATES;
  if (more > 0) all.splice(MAX_CERTIFICATES, more, { about, text: `${more} more` });
  return all;
}

function clientsOf({ clientCertificate }: Options, asks: boolean): string {
  switch (clientCertificate) {
    case "valid":
      return "need a valid certificate";
    case "match":
      return "need a valid certificate that matches their host name";
    case "optional":
      return "are asked for a certificate, and refused if it is invalid";
    case "asked":
      return "are asked for a certificate";
    case "sent":
      return "need a certificate, valid or not";
    case "none":
      return asks ? "are asked for a certificate" : "need no certificate";
  }
}

function rulesOf({ rules, earlyRules, accessDir, accessCdb }: Options): SummaryLine[] {
  const named = {
    "-y": earlyRules,
    "-x": rules,
    "--access-dir": accessDir,
    "--access-cdb": accessCdb,
  };
  const given = Object.entries(named).flatMap(([option, path]) =>
    path === undefined ? [] : [`${option} ${path}`]
  );
  return given.length === 0 ? [] : [{ about: "rules", text: given.join(", then ") }];
}
