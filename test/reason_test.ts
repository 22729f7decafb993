/** Every kind of reason: its line in the log, and its label in the metrics. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import type { Connection, Stage } from "../src/connection.ts";
import { FatalError } from "../src/errors.ts";
import { Log } from "../src/log.ts";
import { reasonWords } from "../src/log/reasons.ts";
import {
  denialOf,
  DENIALS,
  failureOf,
  FAILURES,
  type Outcome,
  outcomeOf,
} from "../src/metrics/reasons.ts";
import {
  abortError,
  breakKind,
  ConnectionError,
  isDenial,
  type Reason,
  reasonOf,
  sentNothing,
  type TlsFault,
} from "../src/reason.ts";

type Row<R extends Reason> = readonly [reason: R, words: string, failure: string];
/** At least one row for each kind. A missing kind is a type error. */
type Table = { readonly [K in Reason["kind"]]: readonly [Row<Of<K>>, ...Row<Of<K>>[]] };
type Of<K> = Extract<Reason, { kind: K }>;

const TABLE: Table = {
  "client gone": [
    [{ kind: "client gone", how: "closed" }, "connection closed by the peer", "closed_by_client"],
    [
      { kind: "client gone", how: "closed", sent: 0 },
      "connection closed by the peer",
      "closed_by_client",
    ],
    [
      { kind: "client gone", how: "reset", sent: 3 },
      "connection reset by the peer after 3 bytes",
      "reset_by_client",
    ],
  ],
  "connection lost": [
    [{ kind: "connection lost", text: "connection timed out" }, "connection timed out", "other"],
  ],
  "tls": [
    [{ kind: "tls", fault: "not tls", text: "unexpected record" }, "unexpected record", "not_tls"],
    [
      { kind: "tls", fault: "other", text: "timed out after alert" },
      "timed out after alert",
      "other",
    ],
  ],
  "alert": [
    [
      { kind: "alert", alert: "handshake failure", certificate: false },
      "alert from the client: handshake failure",
      "alert_from_client",
    ],
    [
      { kind: "alert", alert: "unknown ca", certificate: true },
      "alert from the client: unknown ca",
      "certificate_refused_by_client",
    ],
  ],
  "timed out": [[{ kind: "timed out", seconds: 26 }, "timed out after 26 s", "timed_out"]],
  "evicted": [
    [
      { kind: "evicted", as: "silent" },
      "too many connections are pending and this one was silent longest",
      "gave_way",
    ],
    [
      { kind: "evicted", as: "slow" },
      "too many connections are pending and this one took longest",
      "gave_way",
    ],
    [
      { kind: "evicted", as: "descriptors" },
      "descriptors are running low and this one was silent longest",
      "gave_way",
    ],
  ],
  "shut down": [[{ kind: "shut down" }, "the server is shutting down", "shut_down"]],
  "proxy header": [
    [
      { kind: "proxy header", cause: { kind: "malformed", text: "proxy: signature: no" } },
      "unable to read the PROXY header: proxy: signature: no",
      "other",
    ],
  ],
  "unexpected proxy header": [
    [
      { kind: "unexpected proxy header" },
      "a PROXY header that --proxy-from does not allow",
      "other",
    ],
  ],
  "malformed": [
    [{ kind: "malformed", text: "client hello: length" }, "client hello: length", "malformed"],
  ],
  "unknown server name": [
    [
      { kind: "unknown server name", name: "alert certificate timed out\x1b[2J" },
      "no certificate for the server name 'alert certificate timed out?[2J' (SNI_STRICT)",
      "unknown_server_name",
    ],
  ],
  "no server name": [
    [{ kind: "no server name" }, "no server name (SNI_STRICT)", "unknown_server_name"],
  ],
  "unreadable server name": [
    [
      { kind: "unreadable server name" },
      "the server name cannot be read: the client hello has more than 16 records or 16,384 bytes, " +
      "or comes behind an empty record or an alert",
      "malformed",
    ],
  ],
  "no client certificate": [
    [
      { kind: "no client certificate" },
      "peer did not return a certificate",
      "no_client_certificate",
    ],
  ],
  "bad client certificate": [
    [
      { kind: "bad client certificate", text: "certificate has expired" },
      "client certificate: certificate has expired",
      "bad_client_certificate",
    ],
  ],
  "settings": [
    [{ kind: "settings", text: "unable to read x: y" }, "unable to read x: y", "server_settings"],
  ],
  "not run": [[{ kind: "not run", text: "unable to run x" }, "unable to run x", "server_settings"]],
  "internal": [[{ kind: "internal", text: "x is undefined" }, "x is undefined", "other"]],
  "broken": [
    [
      { kind: "broken", cause: { kind: "client gone", how: "reset" } },
      "connection reset by the peer",
      "other",
    ],
  ],
  "limit": [
    [{ kind: "limit", by: "address", count: 5 }, "ip connection limit:5 exceeded", "limit_address"],
    [{ kind: "limit", by: "rate", count: 5 }, "ip rate limit:5 exceeded", "limit_rate"],
    [
      { kind: "limit", by: "network", count: 5 },
      "network connection limit:5 exceeded",
      "limit_network",
    ],
  ],
  "rule": [
    [{ kind: "rule", rule: "any" }, "", "rule_any"],
    [{ kind: "rule", rule: "host" }, "", "rule_host"],
  ],
  "rules unreadable": [[{ kind: "rules unreadable" }, "rules cannot be read", "rules_unreadable"]],
  "look-up": [
    [{ kind: "look-up", what: "dns" }, "the DNS does not answer", "lookup"],
    [{ kind: "look-up", what: "time" }, "the look-ups took too long", "lookup"],
  ],
};

const ROWS = Object.values(TABLE).flat() as Row<Reason>[];

test("each kind of reason has its words and its label", () => {
  for (const [reason, words, label] of ROWS) {
    assertStrictEquals(reasonWords(reason), words);
    const [got, set] = isDenial(reason)
      ? [denialOf(reason), DENIALS]
      : [failureOf(reason), FAILURES];
    assertStrictEquals(got, label, words);
    assert((set as readonly string[]).includes(label));
  }
});

test("each kind of reason has its line, and text of a peer is escaped", () => {
  let text = "";
  const write = (lines: string): void => void (text += lines);
  const log = new Log({ verbosity: 2, form: "text", name: "x", write });
  const said = (put: () => void): string => {
    text = "";
    put();
    log.flush();
    return text;
  };
  const conn = {
    local: { ip: "192.0.2.1", port: 465 },
    remote: { ip: "192.0.2.7", port: 7 },
  } as Connection;
  for (const [reason, words] of ROWS) {
    if (isDenial(reason)) {
      const line = `x: deny 5 :192.0.2.1:465 :192.0.2.7::7 ${words}`.trimEnd();
      assertStrictEquals(said(() => log.deny(5, conn, reason)), `${line}\n`);
      continue;
    }
    const tail = `TLS from: 192.0.2.7 for pid: 5 ${words}\n`;
    assertStrictEquals(
      said(() => log.tlsFailed(5, "192.0.2.7", reason)),
      `x: error: unable to accept ${tail}`,
    );
    assertStrictEquals(
      said(() => log.tlsFailed(5, "192.0.2.7", reason, true)),
      `x: info: unable to accept ${tail}`,
    );
    assertStrictEquals(
      said(() => log.tlsBroken(5, "192.0.2.7", reason)),
      `x: error: unable to speak ${tail}`,
    );
    assertStrictEquals(
      said(() => log.connectionFailed("192.0.2.7", reason)),
      `x: error: ${words} (connection from 192.0.2.7)\n`,
    );
  }
});

test("each fault of a TLS library has its label", () => {
  const labels: Readonly<Record<TlsFault, string>> = {
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
    "given up": "other",
    "other": "other",
  };
  for (const [fault, label] of Object.entries(labels)) {
    assertStrictEquals(failureOf({ kind: "tls", fault: fault as TlsFault, text: "alert" }), label);
  }
});

test("the outcome follows the reason, and the stage", () => {
  const shutDown: Reason = { kind: "shut down" };
  const malformed: Reason = { kind: "malformed", text: "x" };
  const broken: Reason = { kind: "broken", cause: { kind: "client gone", how: "reset" } };
  const rows: [Reason, Stage, Outcome][] = [
    [{ kind: "timed out", seconds: 1 }, "hello", "timed_out"],
    [{ kind: "evicted", as: "slow" }, "handshake", "gave_way"],
    [shutDown, "hello", "shut_down"],
    [shutDown, "starting", "not_run"],
    [{ kind: "proxy header", cause: shutDown }, "accepted", "shut_down"],
    [{ kind: "proxy header", cause: { kind: "timed out", seconds: 1 } }, "accepted", "timed_out"],
    [{ kind: "proxy header", cause: malformed }, "accepted", "failed"],
    [malformed, "hello", "handshake_failed"],
    [{ kind: "settings", text: "x" }, "handshake", "handshake_failed"],
    [{ kind: "unexpected proxy header" }, "conversing", "failed"],
    [{ kind: "rule", rule: "any" }, "admission", "denied"],
    [{ kind: "internal", text: "x" }, "admission", "failed"],
    [broken, "starting", "not_run"],
    [broken, "conversing", "ok"],
  ];
  assertStrictEquals(outcomeOf(undefined), "ok");
  for (const [reason, stage, outcome] of rows) {
    assertStrictEquals(outcomeOf({ reason, stage }), outcome, `${JSON.stringify(reason)} ${stage}`);
  }
});

test("every thrown value has a reason", () => {
  const shutDown: Reason = { kind: "shut down" };
  assertStrictEquals(reasonOf(new ConnectionError(shutDown)), shutDown);
  assertStrictEquals(reasonOf(abortError(AbortSignal.abort(shutDown))), shutDown);
  assertEquals(reasonOf(new FatalError("a\nb")), { kind: "settings", text: "a b" });
  for (const thrown of [undefined, null, 7, "", new Error(), {}, ["timed out after 1 s"]]) {
    assertStrictEquals(reasonOf(thrown).kind, "internal");
  }
});

test("a client that left without sending is distinguished from others, and a reset from a breach", () => {
  const silent = ROWS.filter(([reason]) => sentNothing(reason)).map(([reason]) => reason);
  assertEquals(silent, [{ kind: "client gone", how: "closed", sent: 0 }]);
  assertStrictEquals(breakKind({ kind: "client gone", how: "reset" }), "reset");
  assertStrictEquals(breakKind({ kind: "connection lost", text: "x" }), "reset");
  assertStrictEquals(breakKind({ kind: "tls", fault: "malformed", text: "x" }), "breach");
  assertStrictEquals(breakKind({ kind: "alert", alert: "x", certificate: false }), "breach");
});
