/** The DNS client. It serves many connections at once, sends the same question only once at a time,
 *  caches answers for their TTL, and follows CNAMEs over several queries. It asks recursive servers
 *  (see config.ts) through exchange.ts. A waiting look-up costs a timer and a socket, and no thread
 *  or process.
 *
 *  Every look-up ends: with an answer, at its deadline, when all its callers have cancelled it,
 *  or when the resolver is closed. A failure is a status, not an exception. */

import { nodeCrypto } from "../builtins.ts";
import { DecodeError } from "../codec/bytes.ts";
import { followCnameChain, startCnameChain } from "../codec/dns/chain.ts";
import { type DnsQueryType, RCODE } from "../codec/dns/message.ts";
import { canonicalName } from "../codec/dns/name.ts";
import { reverseName } from "../codec/dns/reverse.ts";
import { type LookupResult, type LookupStatus, ResolverCache } from "./cache.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { DnsConfig } from "./config.ts";
import { exchange, type ExchangeServices, type Question } from "./exchange.ts";
import { QuestionSockets } from "./question_sockets.ts";
import { nodeTransport, type Transport } from "./transport.ts";

export interface ResolverLimits {
  /** Questions asked at once; further ones wait their turn. */
  inFlight: number;
  /** Maximum number of questions that may wait. A further look-up ends as `busy`. */
  queued: number;
  /** Milliseconds for a whole look-up, including the wait for its turn. */
  deadline: number;
  /** Shortest and longest time to cache an answer, in seconds. With the minimum, a TTL of 0 does
   *  not cost one query per connection of a burst. With the maximum, a mistake in a zone does
   *  not stay for weeks. */
  minTtl: number;
  maxTtl: number;
  /** Longest time to cache a negative answer, in seconds (RFC 2308 7.2 advises against more than
   *  three hours). */
  maxNegativeTtl: number;
  /** Seconds to cache a failure (RFC 9520 3.2: at least 1, and 5 is its example), so that not every
   *  connection of a flood asks a dead server. */
  failureTtl: number;
}

const LIMITS: ResolverLimits = {
  inFlight: 256,
  queued: 4096,
  deadline: 30_000,
  minTtl: 2,
  maxTtl: 86_400,
  maxNegativeTtl: 900,
  failureTtl: 5,
};

export interface ResolverOptions {
  config: DnsConfig;
  transport?: Transport;
  clock?: Clock;
  /** An unpredictable number from 0 to 65535. */
  random?: () => number;
  limits?: Partial<ResolverLimits>;
  /** The descriptors for sockets; default: no limit. */
  sockets?: QuestionSockets;
  /** Called with the outcome of each question that the cache could not answer. */
  onAnswer?: (status: LookupStatus) => void;
}

/** A question in progress, and the number of callers that wait for it. */
interface Flight {
  answer: Promise<LookupResult>;
  callers: number;
  controller: AbortController;
}

/** An answer and its TTL in seconds, if it has one. */
type Answer = LookupResult & { ttl?: number };

export class Resolver {
  readonly config: DnsConfig;
  readonly #services: ExchangeServices;
  readonly #limits: ResolverLimits;
  readonly #onAnswer: (status: LookupStatus) => void;
  readonly #cache = new ResolverCache();
  readonly #flights = new Map<string, Flight>();
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #closed = false;

  constructor({ config, transport, clock, random, limits, sockets, onAnswer }: ResolverOptions) {
    this.config = config;
    this.#services = {
      transport: transport ?? nodeTransport,
      clock: clock ?? systemClock,
      sockets: sockets ?? new QuestionSockets(),
      random: random ?? (() => nodeCrypto().randomInt(0x10000)),
    };
    this.#limits = { ...LIMITS, ...limits };
    this.#onAnswer = onAnswer ?? (() => {});
  }

  /** Looks up the `type` records of `name`, a full name in text form. `signal` ends the wait of
   *  this caller only. The question goes on as long as another caller waits for it. */
  lookup(name: string, type: DnsQueryType, signal?: AbortSignal): Promise<LookupResult> {
    if (this.#closed || signal?.aborted) return settled("aborted");
    let question: Question;
    try {
      question = { name: canonicalName(name), type };
    } catch (error) {
      if (error instanceof DecodeError) return settled("badname");
      throw error;
    }
    const key = `${type} ${question.name}`;
    const known = this.#cache.get(key, this.#services.clock.now());
    if (known !== undefined) return Promise.resolve(known);
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      if (this.#waiting.size >= this.#limits.queued) {
        this.#onAnswer("busy");
        return settled("busy");
      }
      flight = this.#takeOff(key, question);
    }
    return board(flight, signal);
  }

  /** The addresses of a full host name: IPv4 (4), IPv6 (6), or both (0), IPv4 first. */
  async addresses(host: string, family: 0 | 4 | 6, signal?: AbortSignal): Promise<LookupResult> {
    if (family !== 0) return await this.lookup(host, family === 4 ? "A" : "AAAA", signal);
    const both = await Promise.all([
      this.lookup(host, "A", signal),
      this.lookup(host, "AAAA", signal),
    ]);
    const values = both.flatMap((lookup) => lookup.values);
    if (values.length > 0) return { status: "found", values };
    // A failure must not pass for a negative answer.
    return both.find(({ status }) => status !== "nxdomain" && status !== "nodata") ?? both[0];
  }

  /** The names in the PTR records of an IP address. They are claims of the zone's owner. */
  names(ip: string, signal?: AbortSignal): Promise<LookupResult> {
    return this.lookup(reverseName(ip), "PTR", signal);
  }

  /** Questions asked or waiting to be asked. */
  get pending(): number {
    return this.#flights.size;
  }

  /** Ends every look-up as `aborted` and frees all sockets and timers. */
  close(): void {
    this.#closed = true;
    for (const flight of this.#flights.values()) flight.controller.abort("aborted");
    this.#cache.clear();
  }

  #takeOff(key: string, question: Question): Flight {
    const controller = new AbortController();
    const callOff = this.#services.clock.after(
      this.#limits.deadline,
      () => controller.abort("timeout"),
    );
    const answer = this.#ask(question, controller.signal).then((found) => {
      const lookup: LookupResult =
        found.status === "aborted" && controller.signal.reason === "timeout"
          ? { status: "timeout", values: [] }
          : { status: found.status, values: found.values };
      this.#remember(key, lookup, found.ttl);
      this.#onAnswer(lookup.status);
      return lookup;
    }).finally(() => {
      callOff();
      // After all callers cancelled this flight, another one may have begun under this key.
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    const flight: Flight = { answer, callers: 0, controller };
    this.#flights.set(key, flight);
    controller.signal.addEventListener("abort", () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    return flight;
  }

  #remember(key: string, { status, values }: LookupResult, ttl: number | undefined): void {
    const { minTtl, maxTtl, maxNegativeTtl, failureTtl } = this.#limits;
    if (this.#closed || status === "aborted") return;
    let seconds = failureTtl;
    if (status === "found") seconds = Math.min(Math.max(ttl ?? 0, minTtl), maxTtl);
    if (status === "nxdomain" || status === "nodata") {
      // RFC 2308 5: without a SOA a negative answer has no TTL. It is cached as long as a failure.
      seconds = Math.min(Math.max(ttl ?? failureTtl, minTtl), maxNegativeTtl);
    }
    this.#cache.set(key, { status, values }, this.#services.clock.now() + seconds * 1000);
  }

  /** Waits for a turn, then asks, following CNAMEs from answer to answer. */
  async #ask(question: Question, signal: AbortSignal): Promise<Answer> {
    if (!await this.#turn(signal)) return { status: "aborted", values: [] };
    try {
      let chain = startCnameChain(question.name);
      for (;;) {
        const { name } = chain;
        const { servers, rounds } = this.config;
        const asked = { name, type: question.type };
        const reply = await exchange(asked, servers, rounds, this.#services, signal);
        if (typeof reply === "string") {
          return { status: reply === "failed" ? "servfail" : reply, values: [] };
        }
        const step = followCnameChain(chain, question.type, reply.answers);
        if (step.kind === "loop") return { status: "loop", values: [] };
        chain = step.chain;
        if (step.kind === "data") return { status: "found", values: step.data, ttl: chain.ttl };
        // The rcode is about the last name of the chain (RFC 2308 2.1), so NXDOMAIN ends the chain. If
        // the chain got further in this answer but has no data, its last name is asked for next.
        const ttl = Math.min(chain.ttl, reply.negativeTtl ?? this.#limits.failureTtl);
        if (reply.rcode === RCODE.nxDomain) return { status: "nxdomain", values: [], ttl };
        if (chain.name === name || reply.negativeTtl !== undefined) {
          return { status: "nodata", values: [], ttl };
        }
      }
    } finally {
      this.#running--;
      for (const next of this.#waiting) {
        next();
        break;
      }
    }
  }

  /** Resolves to true when this question may be asked, or to false if `signal` fires first. */
  #turn(signal: AbortSignal): Promise<boolean> {
    if (this.#running < this.#limits.inFlight) {
      this.#running++;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const end = (go: boolean) => {
        this.#waiting.delete(start);
        signal.removeEventListener("abort", abort);
        if (go) this.#running++;
        resolve(go);
      };
      const start = () => end(true);
      const abort = () => end(false);
      this.#waiting.add(start);
      signal.addEventListener("abort", abort);
    });
  }
}

function settled(status: LookupResult["status"]): Promise<LookupResult> {
  return Promise.resolve({ status, values: [] });
}

/** Waits for a flight's answer. If `signal` fires first and no other caller waits, the flight
 *  ends. */
function board(flight: Flight, signal: AbortSignal | undefined): Promise<LookupResult> {
  flight.callers++;
  if (signal === undefined) return flight.answer;
  return new Promise((resolve, reject) => {
    const leave = () => {
      if (--flight.callers === 0) flight.controller.abort("aborted");
      resolve({ status: "aborted", values: [] });
    };
    signal.addEventListener("abort", leave, { once: true });
    flight.answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
