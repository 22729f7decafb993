/** Counts connections against MAXCONIP, MAXCONRATE and MAXCONNET
 *  (docs/specification.md#access-rules). In memory, by address bytes; no I/O. One instance counts
 *  for the whole server, in the monitor. What is counted belongs to open connections, so it is
 *  bounded by how many may be open; only MAXCONRATE must remember closed ones, and that memory
 *  has a cap (see `RateMemory`). */

import type { Options } from "../config/options.ts";
import { type Env, LIMIT_VARIABLES } from "../config/variables.ts";
import { FatalError } from "../errors.ts";
import { type Rate, RateMemory } from "./rate.ts";

/** What one connection is measured against. Absent or 0: no such limit. */
export interface Ask {
  /** MAXCONIP: open connections of its address, itself included; capped at -c. */
  readonly perAddress?: number | undefined;
  readonly rate?: Rate | undefined;
  /** MAXCONNET: open connections under one rule, itself included. `key` names the rule. */
  readonly network?: { readonly key: string; readonly count: number } | undefined;
}

/** Why a connection is one too many. `count` is the limit, after the cap. */
export interface Refusal {
  readonly by: "address" | "rate" | "network";
  readonly count: number;
}

/** At once, or from another process. */
export type Answer<T> = T | Promise<T>;

/** Who counts: `Limits`, or the monitor that does it for several workers. */
export interface Counter {
  /** Counts a new connection of `address` (16 characters, see `addressKey`) and measures it.
   *  A refused one is not counted. */
  take(address: string, ask: Ask): Answer<Hold | Refusal>;
}

/** A connection counted in this process. */
export interface LocalHold extends Hold {
  check(ask: Ask): Refusal | undefined;
}

/** A counted connection. */
export interface Hold {
  /** Measures it against further limits: those its rule sets. It stays counted either way. */
  check(ask: Ask): Answer<Refusal | undefined>;
  /** Gives everything back. Only the first call counts. */
  release(): void;
}

export interface LimitsOptions {
  /** -c: no MAXCONIP allows more. */
  readonly programs: number;
  /** Milliseconds from a monotonic clock. */
  readonly now: () => number;
  /** Addresses that MAXCONRATE remembers; 65,536 by default. */
  readonly rateAddresses?: number;
}

/** The largest MAXCONRATE count, and so the times kept for one address. */
export const MAX_RATE = 10_000;

/** The longest MAXCONRATE period: a day. */
export const MAX_RATE_SECONDS = 86_400;

/** Where no limit can be set nobody need be counted. */
export const UNCOUNTED: Counter = { take: () => UNCOUNTED_HOLD };
const UNCOUNTED_HOLD: Hold = { check: () => undefined, release: () => {} };

export class Limits implements Counter {
  /** Open connections of each address, in the order in which they came. */
  readonly #addresses = new Map<string, Set<Hold>>();
  readonly #networks = new Map<string, number>();
  readonly #rates: RateMemory;

  constructor(readonly options: LimitsOptions) {
    this.#rates = new RateMemory(options.now, options.rateAddresses ?? 65_536);
  }

  /** Open connections of an address (see `addressKey`). */
  of(address: string): number {
    return this.#addresses.get(address)?.size ?? 0;
  }

  /** Addresses with an open connection or a remembered time: what memory grows with. */
  get tracked(): number {
    return this.#addresses.size + this.#rates.size;
  }

  take(address: string, ask: Ask): LocalHold | Refusal {
    const hold = this.#hold(address);
    const refusal = hold.check(ask);
    if (refusal) hold.release();
    return refusal ?? hold;
  }

  #hold(address: string): LocalHold {
    const hold = new CountedHold(this, address);
    const peers = this.#addresses.get(address);
    if (peers) peers.add(hold);
    else this.#addresses.set(address, new Set([hold]));
    return hold;
  }

  /** See `Hold.check`. */
  check(hold: CountedHold, { perAddress = 0, network, rate }: Ask): Refusal | undefined {
    const count = Math.min(perAddress, this.options.programs);
    if (count > 0 && this.#precede(hold, count)) return { by: "address", count };
    if (hold.open && network && network.count > 0 && !hold.networks.includes(network.key)) {
      const others = this.#networks.get(network.key) ?? 0;
      if (others >= network.count) return { by: "network", count: network.count };
      this.#networks.set(network.key, others + 1);
      hold.networks = [...hold.networks, network.key];
    }
    // Last, so that a connection refused for another reason uses up no rate.
    if (rate && rate.count > 0) {
      if (!this.#rates.allows(hold.address, rate, hold.timed)) {
        return { by: "rate", count: rate.count };
      }
      hold.timed = true;
    }
    return undefined;
  }

  /** See `Hold.release`. */
  release(hold: CountedHold): void {
    this.#drop(hold.address, hold);
    for (const key of hold.networks) this.#leave(key);
  }

  /** Whether `count` connections of the address came before `hold` and are open. Those that came
   *  later do not matter: else many waiting for DNS at once would all refuse each other. */
  #precede(hold: CountedHold, count: number): boolean {
    let before = 0;
    for (const other of this.#addresses.get(hold.address) ?? []) {
      if (other === hold) return false;
      if (++before >= count) return true;
    }
    return false;
  }

  #drop(address: string, hold: Hold): void {
    const peers = this.#addresses.get(address);
    peers?.delete(hold);
    if (peers?.size === 0) this.#addresses.delete(address);
  }

  #leave(network: string): void {
    const others = (this.#networks.get(network) ?? 1) - 1;
    if (others > 0) this.#networks.set(network, others);
    else this.#networks.delete(network);
  }
}

const NO_KEYS: readonly string[] = [];

/** One for each connection, and most are measured against nothing. */
class CountedHold implements LocalHold {
  open = true;
  /** A rate remembers it. */
  timed = false;
  /** The keys under which it is counted. */
  networks = NO_KEYS;

  constructor(readonly limits: Limits, readonly address: string) {}

  check(ask: Ask): Refusal | undefined {
    return this.limits.check(this, ask);
  }

  release(): void {
    if (!this.open) return;
    this.open = false;
    this.limits.release(this);
  }
}

/** True where anything can limit connections by address: else none are counted. */
export function canLimit(
  { rules, earlyRules }: Pick<Options, "rules" | "earlyRules">,
  env: Env,
): boolean {
  return rules !== undefined || earlyRules !== undefined ||
    LIMIT_VARIABLES.some((name) => env[name]);
}

/** Reads MAXCONIP or MAXCONNET. Undefined when unset; throws FatalError when it is no number:
 *  a limit that cannot be read must not count as none. */
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
      "unable to parse MAXCONRATE: not n/s, n connections in s seconds",
      undefined,
      `n is at most ${MAX_RATE}, s from 1 to ${MAX_RATE_SECONDS}`,
    );
  }
  return count === 0 ? undefined : { count, seconds };
}
