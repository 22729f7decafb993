/** The look-ups of one connection: names (-h, -l, -p, --hosts) and ident (-r), within the time of
 *  --lookup-timeout. A failed look-up leaves a name unknown; the connection is denied only if an
 *  option asks for it. */

import type { Connection } from "../connection.ts";
import type { QuestionSockets } from "../dns/question_sockets.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Denial } from "../reason.ts";
import { askIdent } from "./ident.ts";
import { type FoundName, localName, remoteName } from "./names.ts";

export interface LookupOptions {
  /** False: no name is looked up for the server's own address. */
  ownName: boolean;
  remoteName: boolean;
  paranoid: boolean;
  /** A client whose name does not resolve to its address is denied. Needs `paranoid`. */
  deniesMismatch: boolean;
  /** A client is denied if one of its look-ups fails. */
  strictResolution: boolean;
  /** Seconds for all look-ups together; undefined: no limit. */
  lookupTimeout: number | undefined;
  ident: boolean;
  /** Seconds; 0: no limit. */
  identTimeout: number;
}

export interface LookupServices {
  options: LookupOptions;
  resolver: Resolver;
  /** With --hosts. */
  hosts: { nameOf(ip: string): string | undefined } | undefined;
  /** The descriptors for sockets of ident and DNS. */
  sockets: QuestionSockets;
  /** $DNSCACHEIP is set: ask it about the loopback addresses too. */
  asksAboutLoopback: boolean;
  /** False: the DNS is not asked for the name of the local address. */
  findsOwnName: boolean;
}

/** The part of a connection that look-ups need. */
type LookedUp = Pick<Connection, "local" | "remote" | "signal">;

/** Fills in names and ident. Resolves with the denial, or undefined. Never rejects. */
export async function resolveEnds(
  conn: LookedUp,
  services: LookupServices,
): Promise<Denial | undefined> {
  const { lookupTimeout } = services.options;
  if (lookupTimeout === undefined) return await ask(conn, services, conn.signal);
  const limit = new TimeLimit(conn.signal, lookupTimeout);
  try {
    const denial = await ask(conn, services, limit.signal);
    return limit.over ? { kind: "look-up", what: "time" } : denial;
  } finally {
    limit.stop();
  }
}

async function ask(
  conn: LookedUp,
  services: LookupServices,
  signal: AbortSignal,
): Promise<Denial | undefined> {
  const { options, sockets } = services;
  const denial = await findNames(conn, services, signal);
  if (denial || !options.ident) return denial;
  conn.remote.info = await askIdent(
    {
      remoteIp: conn.remote.ip,
      remotePort: conn.remote.port,
      localIp: conn.local.ip,
      localPort: conn.local.port,
      timeout: options.identTimeout,
      signal,
    },
    undefined,
    undefined,
    sockets,
  );
  const failed = options.strictResolution && conn.remote.info === undefined && !signal.aborted;
  return failed ? { kind: "look-up", what: "ident" } : undefined;
}

const UNKNOWN: FoundName = { problem: "none" };

async function findNames(
  conn: LookedUp,
  services: LookupServices,
  signal: AbortSignal,
): Promise<Denial | undefined> {
  const { options, resolver, hosts } = services;
  const known = (ip: string): FoundName | undefined => {
    const name = hosts?.nameOf(ip);
    if (name !== undefined) return { name };
    const loopback = !services.asksAboutLoopback && (ip === "127.0.0.1" || ip === "::1");
    return loopback ? { name: "localhost" } : undefined;
  };
  const { local, remote } = conn;
  const own = (): FoundName | Promise<FoundName> =>
    local.host !== undefined
      ? { name: local.host }
      : (options.ownName ? known(local.ip) : undefined) ??
        (options.ownName && services.findsOwnName
          ? localName(local.ip, { signal }, resolver)
          : UNKNOWN);
  const theirs = (): FoundName | Promise<FoundName> =>
    options.remoteName
      ? known(remote.ip) ??
        remoteName(remote.ip, { paranoid: options.paranoid, signal }, resolver)
      : UNKNOWN;
  const [ours, client] = await Promise.all([own(), theirs()]);
  local.host = ours.name;
  remote.host = client.name;
  if (signal.aborted) return undefined;
  if (options.deniesMismatch && client.problem === "mismatch") {
    return { kind: "look-up", what: "mismatch" };
  }
  const failed = ours.problem === "failed" || client.problem === "failed" ||
    (options.deniesMismatch && client.problem === "none");
  return options.strictResolution && failed ? { kind: "look-up", what: "dns" } : undefined;
}

/** Aborts when a time has passed, or with `outer`. */
class TimeLimit {
  readonly #abort = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  /** The time has passed. */
  over = false;

  constructor(readonly outer: AbortSignal, seconds: number) {
    this.#timer = setTimeout(() => {
      this.over = true;
      this.#abort.abort();
    }, seconds * 1000);
    if (outer.aborted) this.#follow();
    else outer.addEventListener("abort", this.#follow, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.outer.removeEventListener("abort", this.#follow);
  }

  readonly #follow = (): void => this.#abort.abort();
}
