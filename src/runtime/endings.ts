/** Why a connection ended, in our own words: the adapters share these, so that a cause has one name in
 *  the log whatever the runtime calls it. */

import { reason } from "../errors.ts";
import { TlsError } from "./runtime.ts";

/** Words for a socket that the system has closed. */
export function lost(error: unknown): string {
  switch ((error as { code?: unknown } | undefined)?.code) {
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
      return "connection reset by the peer";
    case "ETIMEDOUT":
      return "connection timed out";
    default:
      return reason(error);
  }
}

/** A TLS connection that ended with an error of its socket. */
export function lostConnection(error: unknown): TlsError {
  return error instanceof TlsError ? error : new TlsError(lost(error), "reset");
}
