/** Connections that the monitor counts by address for all workers: the worker's side. To the stages it looks
 *  like `Limits`. */

import type { Answer, Ask, Counter, Hold, Refusal } from "../../admit/limits.ts";
import { nodeCrypto } from "../../builtins.ts";
import type { ToMonitor } from "../channel.ts";
import type { MessageOf, WireAsk } from "../messages.ts";

/** The answer where there is nobody to ask. */
const NOBODY: Refusal = { by: "address", count: 0 };

/** Characters of a rule's key; of a longer one a digest serves as well. */
const MAX_KEY = 128;

const NO_RATE = { count: 0, seconds: 0 };
const NO_NETWORK = { key: "", count: 0 };

export class RemoteCounter implements Counter {
  #lastHold = 0;
  readonly #verdicts = new Map<number, (refusal: Refusal | undefined) => void>();

  constructor(readonly channel: ToMonitor) {}

  take(address: string, ask: Ask): Answer<Hold | Refusal> {
    const id = ++this.#lastHold;
    let open = true;
    const hold: Hold = {
      check: (more) => {
        const wire = wireAsk(more);
        if (!asksAnything(wire)) return undefined;
        // Its client has gone, and with it what there was to measure. The monitor would take the id
        // for an invented one.
        if (!open) return NOBODY;
        this.channel.send({ kind: "CHECK", id, ask: wire });
        return this.#answer(id);
      },
      release: () => {
        if (!open) return;
        open = false;
        this.channel.send({ kind: "RELEASE", id });
      },
    };
    const wire = wireAsk(ask);
    this.channel.send({ kind: "TAKE", id, address, ask: wire });
    if (!asksAnything(wire)) return hold;
    return this.#answer(id).then((refusal) => refusal ?? hold);
  }

  /** VERDICT. */
  verdict({ id, refusal, count }: MessageOf<"VERDICT">): void {
    this.#verdicts.get(id)?.(refusal === "none" ? undefined : { by: refusal, count });
    this.#verdicts.delete(id);
  }

  /** The monitor is gone: nobody answers any more. */
  orphan(): void {
    for (const tell of this.#verdicts.values()) tell(NOBODY);
    this.#verdicts.clear();
  }

  /** Undefined: it may go on. */
  #answer(id: number): Promise<Refusal | undefined> {
    if (!this.channel.open) return Promise.resolve(NOBODY);
    return new Promise((resolve) => this.#verdicts.set(id, resolve));
  }
}

function shortKey(key: string): string {
  return key.length <= MAX_KEY ? key : nodeCrypto().createHash("sha256").update(key).digest("hex");
}

function wireAsk({ perAddress = 0, rate = NO_RATE, network }: Ask): WireAsk {
  return {
    perAddress,
    rate,
    network: network ? { key: shortKey(network.key), count: network.count } : NO_NETWORK,
  };
}

function asksAnything({ perAddress, rate, network }: WireAsk): boolean {
  return perAddress > 0 || rate.count > 0 || network.count > 0;
}
