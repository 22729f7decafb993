/** What rustls says under Deno, in our words: the same as bun/words.ts has for the same cause. */

import { reason } from "../../errors.ts";
import { lostConnection } from "../endings.ts";
import { TlsError } from "../runtime.ts";

/** First row that matches wins. Behind most of its texts Deno puts one of OpenSSL, without regard to
 *  what they say. */
const ROWS: readonly (readonly [RegExp, string])[] = [
  [/^cannot decrypt/, "bad record mac"],
  [/^peer sent no certificates/, "peer did not return a certificate"],
  [/InvalidContentType|^received unexpected message/, "unexpected record"],
  [/MessageTooLarge|excess record size/, "record too long"],
  [/HandshakePayloadTooLarge/, "message too long"],
  [/^received corrupt message/, "malformed message"],
  [/^received unexpected handshake/, "unexpected message"],
  [/NoCipherSuitesInCommon/, "no shared cipher"],
  [/NoKxGroupsInCommon/, "no shared group"],
  [/NoSignatureSchemesInCommon|SignatureAlgorithmsExtension/, "no shared signature algorithm"],
  [/Tls1[23]NotOffered|SupportedVersionsExtension/, "no shared protocol version"],
  [/support any known protocol/, "no shared application protocol"],
];

/** `read ECONNRESET`, of the socket and not of TLS. */
const ofSocket = (error: Error): boolean =>
  typeof (error as { syscall?: unknown }).syscall === "string";

function words(error: Error): string {
  const text = reason(error);
  const alert = /^received fatal alert: (\w+)/.exec(text)?.[1];
  if (alert !== undefined) {
    const name = alert.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();
    return `alert from the client: ${name}`;
  }
  return ROWS.find(([pattern]) => pattern.test(text))?.[1] ??
    text.replace(/ \(SSL routines:.*\)$/, "");
}

/** What BoringSSL takes for HTTP. */
const HTTP = /^(?:GET|POST|HEAD|PUT|CONN)/;

/** Why a handshake failed. `first` is what the client began with. */
export function refusal(error: Error, first: Uint8Array): string {
  if (ofSocket(error)) return lostConnection(error).message;
  const begin = String.fromCharCode(...first.subarray(0, 5));
  if (HTTP.test(begin)) return "http request";
  const why = words(error);
  return why === "malformed message" && first[0] === 22 ? "malformed client hello" : why;
}

/** Why TLS ended after the handshake. */
export function breach(error: Error): TlsError {
  return ofSocket(error) ? lostConnection(error) : new TlsError(words(error), "breach");
}
