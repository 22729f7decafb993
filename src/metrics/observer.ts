/** What the stages report to the metrics (`--metrics`), in addition to the stages of connections.
 *  Has the interface, and an implementation that does nothing. */

import type { ConnectionObserver } from "../connection.ts";
import type { Registry } from "./registry.ts";

/** Bytes relayed since the start, both as the program sees them: decrypted. A chunk costs one
 *  addition. */
export interface Traffic {
  /** From clients to programs. */
  received: number;
  /** From programs, and banners, to clients. */
  sent: number;
}

export interface Metrics extends ConnectionObserver {
  /** Undefined without --metrics. Facts that cost time then need not be determined. */
  readonly registry: Registry | undefined;
  readonly traffic: Traffic;
  /** Counts a connection that was reset before its addresses could be read. `failed`: counts it as
   *  a failed handshake. */
  lost(failed: boolean): void;
  /** Counts a completed handshake. Names as in `TlsSession`. */
  secured(protocol: string, cipher: string): void;
  /** Counts a client that has ended its data without close_notify. */
  cut(): void;
  /** Counts a question that the resolver has sent to its servers. `status` is that of the
   *  `LookupResult`. */
  asked(status: string): void;
}

const nothing = (): void => {};

/** Used without --metrics. */
export const NO_METRICS: Metrics = {
  registry: undefined,
  traffic: { received: 0, sent: 0 },
  entered: nothing,
  lost: nothing,
  secured: nothing,
  cut: nothing,
  asked: nothing,
};
