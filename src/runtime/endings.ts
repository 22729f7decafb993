/** Why a connection ended, as the adapters share it, so that a cause is the same reason whatever the runtime
 *  calls it. */

import { reason } from "../errors.ts";
import type { StreamReason } from "../reason.ts";
import { TlsError } from "./runtime.ts";

/** The client has ended its data, or closed. */
export const CLOSED: StreamReason = { kind: "client gone", how: "closed" };
/** We have closed the socket ourselves. */
export const GIVEN_UP: StreamReason = { kind: "tls", fault: "given up", text: "given up" };

/** Of a socket that the system has closed. */
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

/** A TLS connection that ended with an error of its socket. */
export function lostConnection(error: unknown): TlsError {
  return error instanceof TlsError ? error : new TlsError(lost(error));
}

/** Alerts that a client sends when it does not accept our certificate (RFC 8446 6.2). */
const OF_CERTIFICATE = /certificate|^unknown ca$|^decrypt error$/;

/** An alert of the client. `name` is that of RFC 8446 6.2, in lower case and with spaces. */
export function alertFrom(name: string): StreamReason {
  return { kind: "alert", alert: name, certificate: OF_CERTIFICATE.test(name) };
}
