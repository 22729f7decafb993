/** The reasons why connections end, as both adapters give them: the same cause is the same reason
 *  on each runtime. */

import { reason } from "../errors.ts";
import type { StreamReason } from "../reason.ts";
import { TlsError } from "./runtime.ts";

/** The client has ended its data, or closed the connection. */
export const CLOSED: StreamReason = { kind: "client gone", how: "closed" };
/** We have closed the socket ourselves. */
export const GIVEN_UP: StreamReason = { kind: "tls", fault: "given up", text: "given up" };

/** The reason for a socket error of the system. */
export function lost(error: unknown): StreamReason {
  switch ((error as { code?: unknown } | undefined)?.code) {
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
      return { kind: "client gone", how: "reset" };
    case "ETIMEDOUT":
      return { kind: "connection lost", text: "connection timed out" };
    default:
      return { kind: "connection lost", text: reason(error) };
  }
}

/** The error of a TLS connection that ended with a socket error. */
export function lostConnection(error: unknown): TlsError {
  return error instanceof TlsError ? error : new TlsError(lost(error));
}

/** Alerts of a client that does not accept our certificate (RFC 8446 6.2). */
const OF_CERTIFICATE = /certificate|^unknown ca$|^decrypt error$/;

/** The reason for an alert of the client. `name`: as in RFC 8446 6.2, in lower case and with
 *  spaces. */
export function alertFrom(name: string): StreamReason {
  return { kind: "alert", alert: name, certificate: OF_CERTIFICATE.test(name) };
}
