/** The worker's side of connection limits by address, which the monitor checks for all workers. The
 *  stages use it like `LocalLimiter`. */

import type {
  ConnectionLimiter,
  ConnectionLimits,
  LimitRefusal,
  MaybePromise,
  Reservation,
} from "../../admit/limits.ts";
import { nodeCrypto } from "../../builtins.ts";
import type { ToMonitor } from "../channel.ts";
import { hasAnyLimit, type MessageOf, type WireLimits } from "../messages.ts";

/** A verdict. `refusal` is undefined if the connection is allowed; `others`: as in `Counted`. */
interface Answer {
  readonly refusal: LimitRefusal | undefined;
  readonly others?: number;
}

/** The answer if there is no monitor. */
const NOBODY: LimitRefusal = { by: "address", count: 0 };

/** Longest rule's key that is sent as it is, in characters. For a longer key its digest is sent. */
const MAX_KEY = 128;

const NO_RATE = { count: 0, seconds: 0 };
const NO_NETWORK = { key: "", count: 0 };

export class RemoteLimiter implements ConnectionLimiter {
  #lastReservation = 0;
  readonly #verdicts = new Map<number, (answer: Answer) => void>();

  constructor(readonly channel: ToMonitor) {}

  take(address: string, limits: ConnectionLimits): MaybePromise<Reservation | LimitRefusal> {
    const id = ++this.#lastReservation;
    let open = true;
    const reservation: { -readonly [K in keyof Reservation]: Reservation[K] } = {
      check: (more) => {
        const wire = wireLimits(more);
        if (!hasAnyLimit(wire)) return undefined;
        // The client has gone, and so has its reservation. The monitor would take the id for an
        // invalid one.
        if (!open) return NOBODY;
        this.channel.send({ kind: "CHECK", id, limits: wire });
        return this.#answer(id).then(({ refusal }) => refusal);
      },
      release: () => {
        if (!open) return;
        open = false;
        this.channel.send({ kind: "RELEASE", id });
      },
    };
    const wire = wireLimits(limits);
    this.channel.send({ kind: "TAKE", id, address, limits: wire });
    if (!hasAnyLimit(wire)) return reservation;
    return this.#answer(id).then(({ refusal, others }) => {
      reservation.others = others;
      return refusal ?? reservation;
    });
  }

  /** VERDICT. */
  verdict({ id, refusal, count, others }: MessageOf<"VERDICT">): void {
    const refused = refusal === "none" ? undefined : { by: refusal, count };
    this.#verdicts.get(id)?.({ refusal: refused, others });
    this.#verdicts.delete(id);
  }

  /** The monitor has gone: all open questions are refused. */
  orphan(): void {
    for (const tell of this.#verdicts.values()) tell({ refusal: NOBODY });
    this.#verdicts.clear();
  }

  #answer(id: number): Promise<Answer> {
    if (!this.channel.open) return Promise.resolve({ refusal: NOBODY });
    return new Promise((resolve) => this.#verdicts.set(id, resolve));
  }
}

function shortKey(key: string): string {
  return key.length <= MAX_KEY ? key : nodeCrypto().createHash("sha256").update(key).digest("hex");
}

function wireLimits({ perAddress = 0, rate = NO_RATE, network }: ConnectionLimits): WireLimits {
  return {
    perAddress,
    rate,
    network: network ? { key: shortKey(network.key), count: network.count } : NO_NETWORK,
  };
}
