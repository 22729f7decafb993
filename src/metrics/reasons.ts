/** The closed sets of labels that the metrics count by, and which reason has which label. Pure.
 *
 *  Only labels of these sets are exposed, whatever a peer or a library says. A fault that an
 *  adapter does not know is `other`: if a new version of a TLS library changes a message, only that
 *  label is lost. */

import type { ConnectionEnd, Stage } from "../connection.ts";
import { type Denial, isDenial, type Reason, type TlsFault } from "../reason.ts";
import { OTHER } from "./registry.ts";

/** Why a handshake was not completed. */
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

/** Labels by the fault that the TLS library reports. */
const OF_TLS: Readonly<Record<TlsFault, Failure>> = {
  "http request": "http_request",
  "not tls": "not_tls",
  "malformed": "malformed",
  "no shared version": "no_shared_version",
  "no shared cipher": "no_shared_cipher",
  "no shared group": "no_shared_group",
  "no shared signature algorithm": "no_shared_signature_algorithm",
  "no shared application protocol": "no_shared_application_protocol",
  "no client certificate": "no_client_certificate",
  "bad client certificate": "bad_client_certificate",
  "given up": OTHER,
  "other": OTHER,
};

/** Labels by the kind of every other reason that ends a connection before or in its handshake. */
const OF_KIND: Readonly<Record<Exclude<Reason["kind"], "tls" | "alert" | "client gone">, Failure>> =
  {
    "connection lost": OTHER,
    "timed out": "timed_out",
    "evicted": "gave_way",
    "shut down": "shut_down",
    "proxy header": OTHER,
    "unexpected proxy header": OTHER,
    "malformed": "malformed",
    "unknown server name": "unknown_server_name",
    "no server name": "unknown_server_name",
    "unreadable server name": "malformed",
    "no client certificate": "no_client_certificate",
    "bad client certificate": "bad_client_certificate",
    "settings": "server_settings",
    "not run": "server_settings",
    "internal": OTHER,
    // With these, no handshake was begun, or it was over.
    "limit": OTHER,
    "rule": OTHER,
    "rules unreadable": OTHER,
    "look-up": OTHER,
    "broken": OTHER,
  };

/** Returns the label of a failed handshake. */
export function failureOf(reason: Reason): Failure {
  switch (reason.kind) {
    case "tls":
      return OF_TLS[reason.fault];
    case "alert":
      return reason.certificate ? "certificate_refused_by_client" : "alert_from_client";
    case "client gone":
      return `${reason.how}_by_client`;
    default:
      return OF_KIND[reason.kind];
  }
}

/** How a connection has ended. */
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

/** True for the stages in which a failure is a failed handshake. */
export const beforeTls = (stage: Stage): boolean => stage === "hello" || stage === "handshake";

/** Returns how a connection has ended. `end`: why it failed; undefined if it did not. */
export function outcomeOf(end: ConnectionEnd | undefined): Outcome {
  if (!end) return "ok";
  const { reason, stage } = end;
  if (isDenial(reason)) return "denied";
  if (stage === "starting") return "not_run";
  const { kind } = reason.kind === "proxy header" ? reason.cause : reason;
  if (kind === "broken") return "ok"; // its program has run, and reads end of file
  if (kind === "timed out") return "timed_out";
  if (kind === "evicted") return "gave_way";
  if (kind === "shut down") return "shut_down";
  return beforeTls(stage) ? "handshake_failed" : "failed";
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
  "lookup",
  OTHER,
] as const;
export type DenialLabel = typeof DENIALS[number];

/** Returns the label of what denied a connection. */
export function denialOf(denial: Denial): DenialLabel {
  switch (denial.kind) {
    case "limit":
      return `limit_${denial.by}`;
    case "rule":
      return `rule_${denial.rule}`;
    case "rules unreadable":
      return "rules_unreadable";
    case "look-up":
      return "lookup";
  }
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

/** How clients break TLS after the handshake: the connection is reset or lost, something arrives
 *  that is not TLS of this connection, or the data ends without close_notify. */
export const BREAKS = ["reset", "breach", "no_close_notify"] as const;
export type Break = typeof BREAKS[number];

/** How programs end: exit code 0, another exit code, or a signal. */
export const ENDINGS = ["ok", "failed", "signal"] as const;

/** Returns the ending for a wait status (exit code × 256, or the signal's number). */
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
