/** The closed sets that the metrics count by, and what belongs where. Pure.
 *
 *  Failures come as text: ours, BoringSSL's (Bun) and rustls' (Deno). Only the words of a set get out;
 *  text that no row knows is `other`, so a new library version costs a name and nothing else. */

import { reason } from "../errors.ts";
import { OTHER } from "./registry.ts";

/** Why a handshake did not come about. */
export const FAILURES = [
  "timed_out",
  "gave_way",
  "shut_down",
  "closed_by_client",
  "reset_by_client",
  "http_request",
  "not_tls",
  "malformed",
  "no_shared_version",
  "no_shared_cipher",
  "no_shared_group",
  "no_shared_signature_algorithm",
  "no_shared_application_protocol",
  "unknown_server_name",
  "certificate_refused_by_client",
  "alert_from_client",
  "no_client_certificate",
  "bad_client_certificate",
  "server_settings",
  OTHER,
] as const;
export type Failure = typeof FAILURES[number];

/** First row that matches wins; compared in lower case. */
const ROWS: readonly (readonly [RegExp, Failure])[] = [
  // Ours: tls.ts, gate.ts, serve.ts, server_names.ts, client_auth.ts. Anchored, so that a name which
  // the client chose cannot pick another row.
  [/^no (server name|certificate for the server name)/, "unknown_server_name"],
  [/^client certificate: /, "bad_client_certificate"],
  [/^client ?hello: /, "malformed"],
  [/^timed out after/, "timed_out"],
  [/(?:was silent|took) longest/, "gave_way"],
  [/shutting down/, "shut_down"],
  [/^connection reset|econnreset/, "reset_by_client"],
  [/^connection closed/, "closed_by_client"],
  [/^unable to |^[a-z]+ cannot /, "server_settings"],
  // Alerts first: their names (`unknown ca`, `certificate expired`) are also what a server finds.
  [
    /\balert[: ].*(certificate|unknown ?ca|decrypt ?error|bad ?certificate)/,
    "certificate_refused_by_client",
  ],
  [/\balert\b/, "alert_from_client"],
  [
    /did not return a certificate|no ?certificates? ?presented|sent no certificates?/,
    "no_client_certificate",
  ],
  [/certificate verify failed|invalid peer certificate/, "bad_client_certificate"],
  [/http request|https proxy request/, "http_request"],
  [/no shared cipher|nociphersuitesincommon/, "no_shared_cipher"],
  [/no shared group|wrong curve|nokxgroupsincommon/, "no_shared_group"],
  [
    /no (shared|common) signature|nosignatureschemesincommon|signaturealgorithmsextensionrequired/,
    "no_shared_signature_algorithm",
  ],
  [
    /no (shared )?application protocol|support any known protocol/,
    "no_shared_application_protocol",
  ],
  [
    /unsupported protocol|no shared protocol version|tls1[23]notoffered|supportedversionsextensionrequired/,
    "no_shared_version",
  ],
  [/invalidcontenttype|unexpected record/, "not_tls"],
  [
    /^malformed|(record|message) too long|corrupt message|parse failed|bad packet length|excessive message|encrypted length|decode error|unexpected message|bad record|decryption failed|length (mismatch|too)/,
    "malformed",
  ],
  // Last: Deno puts these words behind every one of its own.
  [/wrong version number/, "not_tls"],
];

/** The reason of a failed handshake. */
export function failureOf(why: unknown): Failure {
  const text = reason(why).toLowerCase();
  return ROWS.find(([pattern]) => pattern.test(text))?.[1] ?? OTHER;
}

/** What a connection came to. */
export const OUTCOMES = [
  "ok",
  "denied",
  "handshake_failed",
  "timed_out",
  "gave_way",
  "shut_down",
  "not_run",
  "failed",
] as const;
export type Outcome = typeof OUTCOMES[number];

/** The outcome of a connection that failed in the handshake, or while it waited for a program. */
export function outcomeOf(failure: Failure, handshake: boolean): Outcome {
  if (failure === "timed_out" || failure === "gave_way" || failure === "shut_down") return failure;
  return handshake ? "handshake_failed" : "failed";
}

/** What denied a connection. */
export const DENIALS = [
  "limit_address",
  "limit_rate",
  "limit_network",
  "rule_info",
  "rule_address",
  "rule_network",
  "rule_host",
  "rule_any",
  "rules_unreadable",
  OTHER,
] as const;
export type Denial = typeof DENIALS[number];

/** The kind of what denied: `by` is a `Refusal`'s `by`, or a `Verdict`'s `rule`. */
export function denialOf(by: string): Denial {
  if (by === "address" || by === "rate" || by === "network") return `limit_${by}`;
  if (by === "error") return "rules_unreadable";
  const key = /^rule (.*)$/.exec(by)?.[1];
  if (key === undefined) return OTHER;
  if (key === "") return "rule_any";
  if (key.includes("@")) return "rule_info";
  if (key.startsWith("=")) return "rule_host";
  return key.endsWith(".") || key.includes("/") ? "rule_network" : "rule_address";
}

export const VERSIONS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", OTHER] as const;

const AEAD = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"];
const CBC = ["AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA384"];

/** OpenSSL's names of the suites that the libraries of both runtimes have. */
export const CIPHERS: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  ...["ECDHE-ECDSA", "ECDHE-RSA"].flatMap((key) => [...AEAD, ...CBC].map((c) => `${key}-${c}`)),
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
  "DES-CBC3-SHA",
  OTHER,
];

/** How clients break TLS after the handshake: the connection is reset or lost, something comes that is
 *  not TLS of this connection, or the data end without close_notify. */
export const BREAKS = ["reset", "breach", "no_close_notify"] as const;
export type Break = typeof BREAKS[number];

/** How programs end: by exit code 0, by another, by a signal. */
export const ENDINGS = ["ok", "failed", "signal"] as const;

/** The ending that a wait status tells (exit code × 256, or the signal's number). */
export function endingOf(status: number): typeof ENDINGS[number] {
  if (status === 0) return "ok";
  return status < 256 ? "signal" : "failed";
}

/** How a question to the resolver ends. */
export const LOOKUPS = [
  "found",
  "nxdomain",
  "nodata",
  "servfail",
  "timeout",
  "loop",
  "busy",
  "aborted",
  OTHER,
] as const;
