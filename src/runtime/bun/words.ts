/** Converts BoringSSL's errors under Bun to reasons: the same as deno/words.ts for the same
 *  cause. */

import { ALERTS } from "../../codec/tls/alerts.ts";
import { reason } from "../../errors.ts";
import type { StreamReason, TlsFault } from "../../reason.ts";
import { alertFrom, CLOSED, lost, lostConnection } from "../endings.ts";
import { HandshakeError, TlsError } from "../runtime.ts";

/** By the name at the end of `error:1000008b:SSL routines:OPENSSL_internal:DECRYPTION_FAILED_OR_BAD_RECORD_MAC`,
 *  with our words where those of the name are not plain. */
const FAULTS: Readonly<Record<string, readonly [TlsFault, words?: string]>> = {
  BAD_PACKET_LENGTH: ["malformed", "malformed message"],
  CA_DN_LENGTH_MISMATCH: ["malformed"],
  CERTIFICATE_VERIFY_FAILED: ["bad client certificate"],
  CLIENTHELLO_PARSE_FAILED: ["malformed", "malformed client hello"],
  DATA_LENGTH_TOO_LONG: ["malformed", "record too long"],
  DECODE_ERROR: ["malformed", "malformed message"],
  DECRYPTION_FAILED: ["malformed"],
  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: ["malformed", "bad record mac"],
  ENCRYPTED_LENGTH_TOO_LONG: ["malformed", "record too long"],
  EXCESSIVE_MESSAGE_SIZE: ["malformed", "message too long"],
  HTTPS_PROXY_REQUEST: ["http request", "http request"],
  HTTP_REQUEST: ["http request"],
  KEY_USAGE_BIT_INCORRECT: [
    "bad client certificate",
    "client certificate: unsuitable certificate purpose",
  ],
  LENGTH_MISMATCH: ["malformed"],
  NO_APPLICATION_PROTOCOL: ["no shared application protocol", "no shared application protocol"],
  NO_COMMON_SIGNATURE_ALGORITHMS: [
    "no shared signature algorithm",
    "no shared signature algorithm",
  ],
  NO_SHARED_CIPHER: ["no shared cipher"],
  NO_SHARED_GROUP: ["no shared group"],
  PARSE_TLSEXT: ["malformed", "malformed client hello"],
  PEER_DID_NOT_RETURN_A_CERTIFICATE: ["no client certificate"],
  RECORD_LENGTH_MISMATCH: ["malformed"],
  UNEXPECTED_MESSAGE: ["malformed"],
  UNEXPECTED_RECORD: ["not tls"],
  UNSUPPORTED_PROTOCOL: ["no shared version", "no shared protocol version"],
  WRONG_CURVE: ["no shared group", "no shared group"],
  WRONG_VERSION_NUMBER: ["not tls", "unexpected record"],
};

/** Our words for errors in the making of a context. */
const OF_CONTEXTS: Readonly<Record<string, string>> = {
  INVALID_COMMAND: "it has a word that only OpenSSL knows (such as @SECLEVEL or PROFILE=)",
  KEY_USAGE_BIT_INCORRECT: "its keyUsage lacks digitalSignature",
  KEY_VALUES_MISMATCH: "the private key does not match it",
  NO_CIPHER_MATCH: "the TLS library has none of these suites",
  UNSUPPORTED_ALGORITHM: "the TLS library does not support its kind of key",
};

/** Why the library refuses to make a context, in our words. */
export function contextWords(error: unknown): string {
  const text = reason(error);
  const last = (text.split(":").at(-1) ?? text).trim();
  return OF_CONTEXTS[last] ?? plain(last);
}

/** The reason that BoringSSL's text stands for. */
export function faultOf(text: string): StreamReason {
  const last = (text.split(":").at(-1) ?? text).trim();
  const alert = /^(?:SSLV3|TLSV1|TLSV13)_ALERT_(.*)$/.exec(last)?.[1];
  if (alert !== undefined) return alertFrom(plain(alert));
  const [fault, words = plain(last)] = FAULTS[last] ?? ["other"];
  return { kind: "tls", fault, text: words };
}

const plain = (name: string): string => name.replaceAll("_", " ").toLowerCase();

const isOfLibrary = (error: Error): boolean => (error as { code?: string }).code === "EPROTO";

/** The error for a handshake that the library reports as failed. `alert`: an alert that came
 *  unencrypted. OpenSSL's clients refuse a certificate with one in TLS 1.3, and BoringSSL reports
 *  it as a damaged record. */
export function refusal(error: Error | null, alert?: number): HandshakeError {
  if (!error) {
    return new HandshakeError({ kind: "tls", fault: "other", text: "handshake failed" });
  }
  if (alert !== undefined && /BAD_PACKET_LENGTH/.test(error.message)) {
    return new HandshakeError(alertFrom(plain(ALERTS[alert] ?? String(alert))));
  }
  // Bun reports the end of the client's data with this code, too.
  const gone = (error as { code?: string }).code === "ECONNRESET";
  return new HandshakeError(gone ? CLOSED : faultOf(error.message));
}

/** The error for a connection that was closed before its handshake was done. */
export function closedEarly(error: Error | undefined): HandshakeError {
  if (error instanceof HandshakeError) return error;
  if (!error) return new HandshakeError(CLOSED);
  return new HandshakeError(isOfLibrary(error) ? faultOf(error.message) : lost(error));
}

/** The error for a connection that was closed after its handshake. */
export function closedLate(error: Error): TlsError {
  return isOfLibrary(error) ? new TlsError(faultOf(error.message)) : lostConnection(error);
}
