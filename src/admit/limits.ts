/** Counts connections against MAXCONIP, MAXCONRATE and MAXCONNET
 *  (docs/specification.md#access-rules). In memory, by address bytes; no I/O. One instance, in the
 *  monitor, counts for the whole server. Counts belong to open connections, so memory is bounded by
 *  their maximum number. Only MAXCONRATE remembers closed connections, and that memory has a cap
 *  (see `RateMemory`). */

import { hasRules, type Options, type RuleOptions } from "../config/options.ts";
import { type Env, LIMIT_VARIABLES } from "../config/variables.ts";
import { FatalError } from "../errors.ts";
import { type Rate, RateMemory } from "./rate.ts";

/** The limits for one connection. Absent or 0: no such limit. */
export interface ConnectionLimits {
  /** MAXCONIP: open connections of its address, including this one; capped at -c. */
  readonly perAddress?: number | undefined;
  readonly rate?: Rate | undefined;
  /** MAXCONNET: open connections under one rule, including this one. `key` identifies the rule. */
  readonly network?: { readonly key: string; readonly count: number } | undefined;
}

/** The limit that a connection exceeds. `count` is its value, after the cap. */
export interface LimitRefusal {
  readonly by: "address" | "rate" | "network";
  readonly count: number;
}

/** A value that is there at once, or comes from another process. */
export type MaybePromise<T> = T | Promise<T>;

/** Counts connections: in this process (`LocalLimiter`), or in the monitor for all workers. */
export interface ConnectionLimiter {
  /** Counts a new connection of `address` (16 characters, see `addressKey`) and checks it against
   *  `limits`. A refused connection is not counted. */
  take(address: string, limits: ConnectionLimits): MaybePromise<Reservation | LimitRefusal>;
}

/** A connection counted in this process. */
export interface LocalReservation extends Reservation {
  check(limits: ConnectionLimits): LimitRefusal | undefined;
}

/** A counted connection. */
export interface Reservation {
  /** See `Counted` in connection.ts. */
  readonly others?: number | undefined;
  readonly left?: number | undefined;
  /** Checks the connection against further limits: those that its rule sets. It stays counted even
   *  if it is refused. */
  check(limits: ConnectionLimits): MaybePromise<LimitRefusal | undefined>;
  /** Ends all counts of the connection. Later calls do nothing. */
  release(): void;
}

export interface LimiterOptions {
  /** -c: the cap of MAXCONIP. */
  readonly programs: number;
  /** Milliseconds from a monotonic clock. */
  readonly now: () => number;
  /** Addresses that MAXCONRATE remembers; 65,536 by default. */
  readonly rateAddresses?: number;
}

/** The largest MAXCONRATE count. It limits the times kept for one address. */
export const MAX_RATE = 10_000;

/** The longest MAXCONRATE period: a day. */
export const MAX_RATE_SECONDS = 86_400;

/** The reservation of every connection of a server in which no limit can be set: it counts
 *  nothing. */
export const UNCOUNTED: Reservation = { check: () => undefined, release: () => {} };

export class LocalLimiter implements ConnectionLimiter {
  /** Open connections of each address, in the order of arrival. */
  readonly #addresses = new Map<string, Set<Reservation>>();
  readonly #networks = new Map<string, number>();
  readonly #rates: RateMemory;

  constructor(readonly options: LimiterOptions) {
    this.#rates = new RateMemory(options.now, options.rateAddresses ?? 65_536);
  }

  /** Open connections of an address (see `addressKey`). */
  openConnections(address: string): number {
    return this.#addresses.get(address)?.size ?? 0;
  }

  /** Addresses with an open connection or a remembered time. Memory grows with this number. */
  get tracked(): number {
    return this.#addresses.size + this.#rates.size;
  }

  take(address: string, limits: ConnectionLimits): LocalReservation | LimitRefusal {
    const reservation = this.#reserve(address);
    const refusal = reservation.check(limits);
    if (refusal) reservation.release();
    return refusal ?? reservation;
  }

  #reserve(address: string): LocalReservation {
    const peers = this.#addresses.get(address);
    const reservation = new CountedReservation(this, address, peers?.size ?? 0);
    if (peers) peers.add(reservation);
    else this.#addresses.set(address, new Set([reservation]));
    return reservation;
  }

  /** See `Reservation.check`. */
  check(
    reservation: CountedReservation,
    { perAddress = 0, network, rate }: ConnectionLimits,
  ): LimitRefusal | undefined {
    const count = Math.min(perAddress, this.options.programs);
    if (count > 0 && this.#isPreceded(reservation, count)) return { by: "address", count };
    if (
      reservation.open && network && network.count > 0 &&
      !reservation.networks.includes(network.key)
    ) {
      const others = this.#networks.get(network.key) ?? 0;
      if (others >= network.count) return { by: "network", count: network.count };
      this.#networks.set(network.key, others + 1);
      reservation.networks = [...reservation.networks, network.key];
    }
    // Last, so that a connection refused for another reason does not count for the rate.
    if (rate && rate.count > 0) {
      if (!this.#rates.allows(reservation.address, rate, reservation.timed)) {
        return { by: "rate", count: rate.count };
      }
      reservation.timed = true;
    }
    return undefined;
  }

  /** See `Reservation.release`. */
  release(reservation: CountedReservation): void {
    this.#drop(reservation.address, reservation);
    for (const key of reservation.networks) this.#leaveNetwork(key);
  }

  /** True if `count` connections of the address arrived before `reservation` and are open. Later
   *  ones do not count: otherwise connections that wait for DNS at the same time would refuse
   *  each other. */
  #isPreceded(reservation: CountedReservation, count: number): boolean {
    let before = 0;
    for (const other of this.#addresses.get(reservation.address) ?? []) {
      if (other === reservation) return false;
      if (++before >= count) return true;
    }
    return false;
  }

  #drop(address: string, reservation: Reservation): void {
    const peers = this.#addresses.get(address);
    peers?.delete(reservation);
    if (peers?.size === 0) this.#addresses.delete(address);
  }

  #leaveNetwork(network: string): void {
    const others = (this.#networks.get(network) ?? 1) - 1;
    if (others > 0) this.#networks.set(network, others);
    else this.#networks.delete(network);
  }
}

const NO_KEYS: readonly string[] = [];

/** One for each connection, so it is kept small. Most connections have no limit. */
class CountedReservation implements LocalReservation {
  open = true;
  /** True if `RateMemory` has counted it. */
  timed = false;
  /** The keys under which it is counted. */
  networks = NO_KEYS;

  constructor(
    readonly limiter: LocalLimiter,
    readonly address: string,
    readonly others: number,
  ) {}

  get left(): number {
    return this.limiter.openConnections(this.address) - (this.open ? 1 : 0);
  }

  check(limits: ConnectionLimits): LimitRefusal | undefined {
    return this.limiter.check(this, limits);
  }

  release(): void {
    if (!this.open) return;
    this.open = false;
    this.limiter.release(this);
  }
}

/** True if connections must be counted: a limit by address can be set, or a count is shown. */
export function canLimit(
  options: RuleOptions & Pick<Options, "perAddress" | "variables">,
  env: Env,
): boolean {
  const { perAddress, variables } = options;
  return perAddress !== undefined || variables === "s6" || hasRules(options) ||
    LIMIT_VARIABLES.some((name) => env[name]);
}

/** Reads MAXCONIP or MAXCONNET. Undefined if unset. Throws FatalError if it is not a number: a
 *  limit that cannot be read must not count as no limit. */
export function parseLimit(
  name: "MAXCONIP" | "MAXCONNET",
  text: string | undefined,
): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw new FatalError(
      `unable to parse ${name}: not a number from 0 to 999999999`,
      undefined,
      `set it like ${name}=5, or unset it`,
    );
  }
  return Number(text);
}

/** Reads MAXCONRATE, `n/s`. Undefined when unset or n is 0; throws FatalError as `parseLimit`. */
export function parseRate(text: string | undefined): Rate | undefined {
  if (text === undefined || text === "") return undefined;
  const parts = /^([0-9]{1,9})\/([0-9]{1,9})$/.exec(text);
  const [count, seconds] = [Number(parts?.[1]), Number(parts?.[2])];
  if (!parts || count > MAX_RATE || seconds < 1 || seconds > MAX_RATE_SECONDS) {
    throw new FatalError(
      "unable to parse MAXCONRATE: not of the form n/s, for n connections in s seconds",
      undefined,
      `n is at most ${MAX_RATE}, s from 1 to ${MAX_RATE_SECONDS}`,
    );
  }
  return count === 0 ? undefined : { count, seconds };
}
