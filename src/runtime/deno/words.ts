/** Converts rustls' errors under Deno to reasons: the same as bun/words.ts for the same cause. */

import { reason } from "../../errors.ts";
import type { StreamReason, TlsFault } from "../../reason.ts";
import { alertFrom, lost, lostConnection } from "../endings.ts";
import { TlsError } from "../runtime.ts";

const MALFORMED = "malformed message";

/** The first row that matches counts. A row has our words where those of rustls are not plain. Deno
 *  appends a text of OpenSSL to most texts of rustls, whatever these say. */
const ROWS: readonly (readonly [RegExp, TlsFault, words?: string])[] = [
  [/^cannot decrypt/, "malformed", "bad record mac"],
  [/^peer sent no certificates/, "no client certificate", "peer did not return a certificate"],
  [/^invalid peer certificate/, "bad client certificate"],
  [/InvalidContentType|^received unexpected message/, "not tls", "unexpected record"],
  [/MessageTooLarge|excess record size/, "malformed", "record too long"],
  [/HandshakePayloadTooLarge/, "malformed", "message too long"],
  [/^received corrupt message/, "malformed", MALFORMED],
  [/^received unexpected handshake/, "malformed", "unexpected message"],
  [/NoCipherSuitesInCommon/, "no shared cipher", "no shared cipher"],
  [/NoKxGroupsInCommon/, "no shared group", "no shared group"],
  [
    /NoSignatureSchemesInCommon|SignatureAlgorithmsExtension/,
    "no shared signature algorithm",
    "no shared signature algorithm",
  ],
  [
    /Tls1[23]NotOffered|SupportedVersionsExtension/,
    "no shared version",
    "no shared protocol version",
  ],
  [
    /support any known protocol/,
    "no shared application protocol",
    "no shared application protocol",
  ],
];

/** True for an error of the socket, such as `read ECONNRESET`, and not of TLS. */
const ofSocket = (error: Error): boolean =>
  typeof (error as { syscall?: unknown }).syscall === "string";

/** The reason that rustls' text stands for. */
export function faultOf(text: string): StreamReason {
  const alert = /^received fatal alert: (\w+)/.exec(text)?.[1];
  if (alert !== undefined) {
    return alertFrom(alert.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase());
  }
  const [, fault = "other", words] = ROWS.find(([pattern]) => pattern.test(text)) ?? [];
  return { kind: "tls", fault, text: words ?? text.replace(/ \(SSL routines:.*\)$/, "") };
}

/** The beginnings that BoringSSL reports as HTTP, for the same reason on both runtimes. */
const HTTP = /^(?:GET|POST|HEAD|PUT|CONN)/;

/** The type of a record that begins with a ClientHello. */
const HANDSHAKE = 22;

/** Why a handshake failed. `first`: the client's first bytes. */
export function refusal(error: Error, first: Uint8Array): StreamReason {
  if (ofSocket(error)) return lost(error);
  const begin = String.fromCharCode(...first.subarray(0, 5));
  if (HTTP.test(begin)) return { kind: "tls", fault: "http request", text: "http request" };
  const why = faultOf(reason(error));
  const inHello = first[0] === HANDSHAKE && why.kind === "tls" && why.text === MALFORMED;
  return inHello ? { ...why, text: "malformed client hello" } : why;
}

/** Why TLS ended after the handshake. */
export function breach(error: Error): TlsError {
  return ofSocket(error) ? lostConnection(error) : new TlsError(faultOf(reason(error)));
}
