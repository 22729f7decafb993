/** The words for the reasons why connections end. They are for people, and no code compares
 *  them. */

import type { Reason } from "../reason.ts";
import { clean } from "./fields.ts";

/** Which side of the connection the peer is. */
type PeerSide = "client" | "server";

const WORDS: {
  readonly [K in Reason["kind"]]: (reason: Extract<Reason, { kind: K }>, peer: PeerSide) => string;
} = {
  "client gone": ({ how, sent }) =>
    `connection ${how} by the peer${sent ? ` after ${sent} bytes` : ""}`,
  "connection lost": ({ text }) => text,
  "tls": ({ text }) => text,
  "alert": ({ alert }, peer) => `alert from the ${peer}: ${alert}`,
  "limit": ({ by, count }) => `${LIMITS[by]} limit:${count} exceeded`,
  "rule": () => "",
  "rules unreadable": () => "rules cannot be read",
  "look-up": ({ what }) => LOOKUPS[what],
  "timed out": ({ seconds }) => `timed out after ${seconds} s`,
  "evicted": ({ as }) => EVICTED[as],
  "shut down": () => "the server is shutting down",
  "proxy header": ({ cause }) => `unable to read the PROXY header: ${reasonWords(cause)}`,
  "unexpected proxy header": () => "a PROXY header that --proxy-from does not allow",
  "malformed": ({ text }) => text,
  "unknown server name": ({ name }) =>
    `no certificate for the server name '${clean(name)}' (SNI_STRICT)`,
  "no server name": () => "no server name (SNI_STRICT)",
  "unreadable server name": () =>
    "the server name cannot be read: the client hello has more than 16 records or 16,384 " +
    "bytes, or comes behind an empty record or an alert",
  "no client certificate": () => "peer did not return a certificate",
  "bad client certificate": ({ text }) => `client certificate: ${text}`,
  "broken": ({ cause }, peer) => reasonWords(cause, peer),
  "settings": ({ text }) => text,
  "not run": ({ text }) => text,
  "internal": ({ text }) => text,
};

const LOOKUPS = {
  dns: "the DNS does not answer",
  ident: "the ident server does not answer",
  mismatch: "the name does not resolve to the address",
  time: "the look-ups took too long",
};

const LIMITS = { address: "ip connection", rate: "ip rate", network: "network connection" };

const EVICTED = {
  silent: "too many connections are pending and this one was silent longest",
  slow: "too many connections are pending and this one took longest",
  descriptors: "descriptors are running low and this one was silent longest",
};

/** Returns the words for a reason; empty for a denial by a rule. Texts of a peer or a library in
 *  them may not be printable yet. */
export function reasonWords(reason: Reason, peer: PeerSide = "client"): string {
  return (WORDS[reason.kind] as (reason: Reason, peer: PeerSide) => string)(reason, peer);
}
