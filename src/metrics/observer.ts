/** What the stages tell about a connection, for whoever counts (`--metrics`). Here are the interface
 *  and the one that does nothing, which costs an empty call a stage. */

import type { Denial, Reason } from "../reason.ts";
import type { Break } from "./reasons.ts";
import type { Registry } from "./registry.ts";

/** Bytes relayed since the start, both as the program sees them: decrypted. One addition a chunk. */
export interface Traffic {
  /** From clients to programs. */
  received: number;
  /** From programs, and banners, to clients. */
  sent: number;
}

/** Follows one connection. Calls come in the order in which they stand here; a connection may end
 *  after any of them, and with -n the program starts before TLS. */
export interface Watch {
  /** Admission is over. */
  admitted(denial?: Denial): void;
  /** The handshake begins: the server waits for a ClientHello. */
  securing(): void;
  /** It is done. Names as in `TlsSession`. */
  secured(protocol: string, cipher: string): void;
  /** The program is about to be started. */
  starting(): void;
  started(): void;
  /** The client broke TLS, or left out its close_notify. See `BREAKS`. */
  broken(how: Break): void;
  /** The program has ended with this wait status, if that is known. */
  ended(status: number | undefined): void;
  /** Whatever stage it was in has failed. `handshake`: before TLS, or in its handshake. Only the first call
   *  counts. */
  failed(reason: Reason, handshake: boolean): void;
  /** The last word. */
  over(): void;
}

export interface Metrics {
  /** Undefined: nobody counts, and facts that cost time need not be found out. */
  readonly registry: Registry | undefined;
  readonly traffic: Traffic;
  /** A connection has been accepted. */
  watch(): Watch;
  /** The resolver has put a question to its servers; `status` is that of the `Lookup`. */
  asked(status: string): void;
}

const nothing = (): void => {};

/** Nobody counts. */
export const NO_WATCH: Watch = {
  admitted: nothing,
  securing: nothing,
  secured: nothing,
  starting: nothing,
  started: nothing,
  broken: nothing,
  ended: nothing,
  failed: nothing,
  over: nothing,
};

/** Without --metrics. */
export const NO_METRICS: Metrics = {
  registry: undefined,
  traffic: { received: 0, sent: 0 },
  watch: () => NO_WATCH,
  asked: nothing,
};
