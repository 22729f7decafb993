/** How a relay reports the end of its peer. The peer is a client or, for sslclient, the server. */

import type { TlsError } from "../runtime/runtime.ts";

/** Callbacks for the end of the peer's side. For sslclient, "client" here means the server. */
export interface ClientEvents {
  /** True if the peer may still send after our end of data, as a server does. */
  readonly awaitsAnswer?: boolean;
  /** True if our end of data has no close_notify. Some peers send an alert about that. */
  readonly endsByFin?: boolean;
  /** The client broke TLS or reset the connection. */
  broken(error: TlsError): void;
  /** The client's data ended with a FIN and without close_notify. Returns an error if that breaks
   *  the connection. */
  cut(): TlsError | undefined;
  /** The idle limit has run out: the connection is ended. */
  silent?(): void;
  /** The client's socket is closed and its descriptor is free. Called exactly once. */
  gone(): void;
}

/** The error for a FIN without close_notify if that is not permitted. */
export const TRUNCATED = {
  kind: "tls",
  fault: "other",
  text: "end of data without close_notify",
} as const;
