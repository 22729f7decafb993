/** What the stages tell whoever counts (`--metrics`), beyond how far connections come. Here are the interface
 *  and the one that does nothing. */

import type { ConnectionObserver } from "../connection.ts";
import type { Registry } from "./registry.ts";

/** Bytes relayed since the start, both as the program sees them: decrypted. One addition a chunk. */
export interface Traffic {
  /** From clients to programs. */
  received: number;
  /** From programs, and banners, to clients. */
  sent: number;
}

export interface Metrics extends ConnectionObserver {
  /** Undefined: nobody counts, and facts that cost time need not be found out. */
  readonly registry: Registry | undefined;
  readonly traffic: Traffic;
  /** A connection was reset before anybody could ask whose it is. `failed`: it counts as a failed handshake. */
  lost(failed: boolean): void;
  /** A handshake is done. Names as in `TlsSession`. */
  secured(protocol: string, cipher: string): void;
  /** A client has ended its data without close_notify. */
  cut(): void;
  /** The resolver has put a question to its servers; `status` is that of the `LookupResult`. */
  asked(status: string): void;
}

const nothing = (): void => {};

/** Without --metrics. */
export const NO_METRICS: Metrics = {
  registry: undefined,
  traffic: { received: 0, sent: 0 },
  entered: nothing,
  lost: nothing,
  secured: nothing,
  cut: nothing,
  asked: nothing,
};
