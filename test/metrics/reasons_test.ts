import assert from "node:assert/strict";
import { test } from "node:test";
import { FatalError } from "../../src/errors.ts";
import { HandshakeError } from "../../src/runtime/runtime.ts";
import {
  CIPHERS,
  denialOf,
  DENIALS,
  endingOf,
  failureOf,
  FAILURES,
  outcomeOf,
  OUTCOMES,
} from "../../src/metrics/reasons.ts";
import { CONVERSION } from "./reasons_rows.ts";

test("each text of the server and of both TLS libraries has its reason", () => {
  for (const [text, wanted] of CONVERSION) {
    assert.equal(failureOf(new HandshakeError(text)), wanted, text);
  }
});

test("whatever is thrown has a reason of the set", () => {
  const rows: unknown[] = [undefined, null, 7, "", "x".repeat(1 << 16), new Error(), {}, [
    "timed out after 1 s",
  ]];
  for (const thrown of rows) assert.ok(FAILURES.includes(failureOf(thrown)));
  assert.equal(failureOf(new Error("something new")), "other");
  assert.equal(failureOf(new FatalError("unable to read certificate x: y")), "server_settings");
});

test("a name that the client chose does not choose the reason", () => {
  const name = "alert certificate timed out http request";
  const why = `no certificate for the server name '${name}' (SNI_STRICT)`;
  assert.equal(failureOf(new HandshakeError(why)), "unknown_server_name");
});

test("the outcome follows the reason, and the stage", () => {
  assert.equal(outcomeOf("timed_out", true), "timed_out");
  assert.equal(outcomeOf("gave_way", true), "gave_way");
  assert.equal(outcomeOf("shut_down", false), "shut_down");
  assert.equal(outcomeOf("not_tls", true), "handshake_failed");
  assert.equal(outcomeOf("other", false), "failed");
  for (const failure of FAILURES) assert.ok(OUTCOMES.includes(outcomeOf(failure, true)));
});

test("a denial is counted by the kind of its rule, never by its text", () => {
  const rows: [string, string][] = [
    ["address", "limit_address"],
    ["rate", "limit_rate"],
    ["network", "limit_network"],
    ["error", "rules_unreadable"],
    ["rule ", "rule_any"],
    ["rule 192.0.2.7", "rule_address"],
    ["rule 2001:0DB8:0000:0000:0000:0000:0000:0001", "rule_address"],
    ["rule 10.", "rule_network"],
    ["rule 10./8", "rule_network"],
    ["rule 2001:db8::/32", "rule_network"],
    ["rule =mx.example", "rule_host"],
    ["rule =.example", "rule_host"],
    ["rule =", "rule_host"],
    ["rule joe@192.0.2.7", "rule_info"],
    ["rule joe@=mx.example", "rule_info"],
    ["default", "other"],
    ["", "other"],
  ];
  for (const [by, wanted] of rows) {
    assert.equal(denialOf(by), wanted, by);
    assert.ok((DENIALS as readonly string[]).includes(wanted));
  }
});

test("a wait status tells how a program ended", () => {
  const rows = [[0, "ok"], [256, "failed"], [255 * 256, "failed"], [9, "signal"], [15, "signal"]];
  for (const [status, wanted] of rows) assert.equal(endingOf(Number(status)), wanted);
});

test("the cipher suites have OpenSSL's names, each once", () => {
  assert.equal(new Set(CIPHERS).size, CIPHERS.length);
  assert.ok(CIPHERS.includes("ECDHE-RSA-CHACHA20-POLY1305"));
});
