/** The look-ups of one connection: names (-h, -l, -p, --hosts) and ident (-r), within the time of
 *  --lookup-timeout. A failed look-up leaves a name unknown; the connection is denied only if an
 *  option asks for it. */

import type { Connection } from "../connection.ts";
import type { QuestionSockets } from "../dns/question_sockets.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Denial } from "../reason.ts";
import { askIdent } from "./ident.ts";
import type { MaybePromise } from "./limits.ts";
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

/** What ends look-ups early. `signal` is read only if a look-up begins: making it costs time. */
type Limit = Pick<Connection, "signal">;

/** Fills in names and ident. Returns the denial, or undefined; a promise of it if something is looked
 *  up. Never rejects. */
export function resolveEnds(
  conn: LookedUp,
  services: LookupServices,
): MaybePromise<Denial | undefined> {
  const { lookupTimeout } = services.options;
  return lookupTimeout === undefined
    ? ask(conn, services, conn)
    : askWithin(lookupTimeout, conn, services);
}

async function askWithin(
  seconds: number,
  conn: LookedUp,
  services: LookupServices,
): Promise<Denial | undefined> {
  const limit = new TimeLimit(conn.signal, seconds);
  try {
    const denial = await ask(conn, services, limit);
    return limit.over ? { kind: "look-up", what: "time" } : denial;
  } finally {
    limit.stop();
  }
}

function ask(
  conn: LookedUp,
  services: LookupServices,
  limit: Limit,
): MaybePromise<Denial | undefined> {
  const { options } = services;
  const ours = ownName(conn, services, limit);
  const client = clientName(conn, services, limit);
  if (ours instanceof Promise || client instanceof Promise) {
    return Promise.all([ours, client]).then(([ours, client]) => {
      const denial = setNames(conn, options, ours, client);
      if (limit.signal.aborted) return undefined;
      return denial || !options.ident ? denial : identify(conn, services, limit);
    });
  }
  const denial = setNames(conn, options, ours, client);
  return denial || !options.ident ? denial : identify(conn, services, limit);
}

async function identify(
  conn: LookedUp,
  { options, sockets }: LookupServices,
  { signal }: Limit,
): Promise<Denial | undefined> {
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

function ownName(
  { local }: LookedUp,
  services: LookupServices,
  limit: Limit,
): MaybePromise<FoundName> {
  if (local.host !== undefined) return { name: local.host };
  if (!services.options.ownName) return UNKNOWN;
  return knownName(local.ip, services) ??
    (services.findsOwnName
      ? localName(local.ip, { signal: limit.signal }, services.resolver)
      : UNKNOWN);
}

function clientName(
  { remote }: LookedUp,
  services: LookupServices,
  limit: Limit,
): MaybePromise<FoundName> {
  const { remoteName: wanted, paranoid } = services.options;
  if (!wanted) return UNKNOWN;
  return knownName(remote.ip, services) ??
    remoteName(remote.ip, { paranoid, signal: limit.signal }, services.resolver);
}

/** Returns a name for which the DNS is not asked. */
function knownName(
  ip: string,
  { hosts, asksAboutLoopback }: LookupServices,
): FoundName | undefined {
  const name = hosts?.nameOf(ip);
  if (name !== undefined) return { name };
  const loopback = !asksAboutLoopback && (ip === "127.0.0.1" || ip === "::1");
  return loopback ? { name: "localhost" } : undefined;
}

/** Sets the names of both ends. Returns the denial, or undefined. */
function setNames(
  { local, remote }: LookedUp,
  options: LookupOptions,
  ours: FoundName,
  client: FoundName,
): Denial | undefined {
  local.host = ours.name;
  remote.host = client.name;
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
