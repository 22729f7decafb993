/** What BoringSSL says under Bun, in our words: the same as deno_words.ts has for the same cause. */

import { lost, lostConnection } from "./endings.ts";
import { HandshakeError, TlsError } from "./runtime.ts";

/** `error:1000008b:SSL routines:OPENSSL_internal:DECRYPTION_FAILED_OR_BAD_RECORD_MAC` */
const WORDS: Readonly<Record<string, string>> = {
  BAD_PACKET_LENGTH: "malformed message",
  CLIENTHELLO_PARSE_FAILED: "malformed client hello",
  DATA_LENGTH_TOO_LONG: "record too long",
  DECODE_ERROR: "malformed message",
  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: "bad record mac",
  ENCRYPTED_LENGTH_TOO_LONG: "record too long",
  EXCESSIVE_MESSAGE_SIZE: "message too long",
  HTTPS_PROXY_REQUEST: "http request",
  NO_APPLICATION_PROTOCOL: "no shared application protocol",
  NO_COMMON_SIGNATURE_ALGORITHMS: "no shared signature algorithm",
  PARSE_TLSEXT: "malformed client hello",
  UNSUPPORTED_PROTOCOL: "no shared protocol version",
  WRONG_CURVE: "no shared group",
  WRONG_VERSION_NUMBER: "unexpected record",
};

function words(error: Error): string {
  const last = (error.message.split(":").at(-1) ?? error.message).trim();
  const alert = /^(?:SSLV3|TLSV1|TLSV13)_ALERT_(.*)$/.exec(last)?.[1];
  if (alert !== undefined) return `alert from the client: ${plain(alert)}`;
  return WORDS[last] ?? plain(last);
}

const plain = (name: string): string => name.replaceAll("_", " ").toLowerCase();

const isOfLibrary = (error: Error): boolean => (error as { code?: string }).code === "EPROTO";

/** Why the library says that a handshake failed. */
export function refusal(error: Error | null): HandshakeError {
  if (!error) return new HandshakeError("handshake failed");
  // So Bun calls the end of the client's data, too.
  const gone = (error as { code?: string }).code === "ECONNRESET";
  return new HandshakeError(gone ? "connection closed by the peer" : words(error));
}

/** Why a connection was closed before its handshake was over. */
export function closedEarly(error: Error | undefined): HandshakeError {
  if (error instanceof HandshakeError) return error;
  if (!error) return new HandshakeError("connection closed by the peer");
  return new HandshakeError(isOfLibrary(error) ? words(error) : lost(error));
}

/** Why a connection was closed after its handshake. */
export function closedLate(error: Error): TlsError {
  return isOfLibrary(error) ? new TlsError(words(error), "breach") : lostConnection(error);
}
