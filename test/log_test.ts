/** The log under load: repeated lines are counted, and lines that a slow reader does not read wait, or are
 *  dropped and counted. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import type { Connection } from "../src/connection.ts";
import { Log, type LogOptions } from "../src/log.ts";
import { LogOutput } from "../src/log/output.ts";
import type { Denial, Reason } from "../src/reason.ts";
import type { LineSink } from "../src/runtime/runtime.ts";

/** A log with a clock that the test moves, and the text that it has written. */
function logged(options: Partial<LogOptions> = {}) {
  const clock = { at: 0 };
  let text = "";
  const log = new Log({
    verbosity: 2,
    form: "text",
    name: "x",
    write: (lines) => void (text += lines),
    clock: () => clock.at,
    ...options,
  });
  const lines = (): string[] => {
    log.flush();
    const all = text.split("\n").slice(0, -1);
    text = "";
    return all;
  };
  return { log, clock, lines };
}

const tls = (text: string): Reason => ({ kind: "tls", fault: "other", text });
const LIMIT: Denial = { kind: "limit", by: "address", count: 5 };
const RULE: Denial = { kind: "rule", rule: "address" };

const connection = (port: number) =>
  ({
    local: { ip: "192.0.2.1", port: 465 },
    remote: { ip: `192.0.2.${port % 250}`, port },
  }) as Connection;

test("the first fifty lines of a kind are printed, and the others counted after ten seconds", () => {
  const { log, clock, lines } = logged();
  for (let i = 0; i < 4261; i++) log.tlsFailed(1000 + i, `192.0.2.${i % 250}`, tls("http request"));
  const first = lines();
  assertStrictEquals(first.length, 50);
  assertStrictEquals(
    first[49],
    "x: error: unable to accept TLS from: 192.0.2.49 for pid: 1049 http request",
  );
  clock.at = 10_000;
  log.tlsFailed(7, "192.0.2.7", tls("http request"));
  assertEquals(lines(), [
    "x: error: ... and 4,211 more like it in 10 s: " +
    "unable to accept TLS from: 192.0.2.10 for pid: 5260 http request",
    "x: error: unable to accept TLS from: 192.0.2.7 for pid: 7 http request",
  ]);
});

test("kinds are distinguished by event and text, not by address", () => {
  const { log, lines } = logged();
  for (let i = 0; i < 100; i++) {
    log.tlsFailed(i, "2001:db8::1", tls("http request"));
    log.tlsFailed(i, "2001:db8::1", tls("bad record mac"));
    log.deny(i, connection(i), LIMIT);
    log.deny(i, connection(i), RULE);
    log.connectionLimit("rate", 5, `192.0.2.${i}`);
    log.error(`connection reset (connection from 192.0.2.${i})`);
  }
  assertStrictEquals(lines().length, 300);
});

test("lines of served connections, and lines that a client cannot repeat, are all printed", () => {
  const { log, lines } = logged({ verbosity: 3 });
  for (let i = 0; i < 100; i++) {
    log.status(i, 40, 0);
    log.pid(i, connection(i), 40);
    log.ok(i, connection(i));
    log.tls(i, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
    log.clientCertificate(i);
    log.ended(i, 0);
    log.notice("metrics at 127.0.0.1:9");
    log.warning(`certificate /etc/${i}.pem expired on 2026-11-29`);
  }
  assertStrictEquals(lines().length, 800);
});

test("invented texts of a peer do not make the log longer", async () => {
  const { log, lines } = logged();
  for (let i = 0; i < 5000; i++) {
    const name = `host-${String.fromCharCode(97 + i % 26, 97 + i / 26 % 26, 97 + i / 676)}`;
    log.tlsFailed(i, "192.0.2.1", { kind: "unknown server name", name });
  }
  log.error("something else");
  await log.finish();
  const all = lines();
  assert(all.length < 1200, `${all.length} lines`);
  assert(all.includes("x: error: something else"));
  const counted = all.flatMap((line) => /and ([0-9,]+) more/.exec(line)?.[1] ?? []);
  assert(counted.some((count) => Number(count.replace(",", "")) > 3500), counted.join());
});

test("at the end the counted lines are reported, with the duration", async () => {
  const { log, clock, lines } = logged();
  for (let i = 0; i < 52; i++) log.deny(i, connection(i), RULE);
  clock.at = 3000;
  await log.finish();
  const all = lines();
  assertStrictEquals(all.length, 51);
  assertMatch(
    all[50] ?? "",
    /^x: info: \.\.\. and 2 more like it in 3 s: deny 51 :192\.0\.2\.1:465 /,
  );
});

test("in JSON a summary is an event of its own", async () => {
  const { log, lines } = logged({ form: "json" });
  for (let i = 0; i < 55; i++) log.connectionLimit("connection", 5, `192.0.2.${i}`);
  await log.finish();
  const { time, ...summary } = JSON.parse(lines().at(-1) ?? "") as Record<string, unknown>;
  assertStrictEquals(typeof time, "string");
  assertEquals(summary, {
    level: "warning",
    event: "repeated",
    count: 5,
    seconds: 1,
    message: "... and 5 more like it in 1 s",
    last: {
      level: "warning",
      event: "limit",
      limit: 5,
      remoteIp: "192.0.2.54",
      message: "ip connection limit of 5 exceeded for: 192.0.2.54",
    },
  });
});

test("in JSON every line has a level", () => {
  const { log, lines } = logged({ form: "json", verbosity: 3 });
  const conn = connection(1);
  log.status(1, 40, 0);
  log.pid(7, conn, 40);
  log.ok(7, conn);
  log.deny(7, conn, LIMIT);
  log.tls(7, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
  log.ended(7, 0);
  log.noCloseNotify(7, "192.0.2.1");
  log.clientCertificate(7);
  log.notice("text");
  log.connectionLimit("rate", 5, "192.0.2.1");
  log.warning("text");
  log.tlsFailed(7, "192.0.2.1", tls("why"));
  log.tlsBroken(7, "192.0.2.1", tls("why"));
  log.error("text");
  log.fatal("text", "hint");
  log.usage("text");
  const levels = lines().map((line) => (JSON.parse(line) as { level?: string }).level);
  const expected = { info: 9, warning: 2, error: 3, fatal: 1, usage: 1 };
  assertEquals(
    levels,
    Object.entries(expected).flatMap(([level, count]) => Array(count).fill(level)),
  );
});

/** A reader that accepts `room` bytes and then stops. */
function reader() {
  const state = { room: Infinity, text: "", failing: false, largest: 0 };
  let again = (): void => {};
  const sink: LineSink = {
    busy: false,
    whenReady: (flush) => again = flush,
    take(bytes) {
      if (state.failing) throw new Error("EPIPE");
      const count = Math.min(bytes.length, state.room);
      state.room -= count;
      state.text += new TextDecoder().decode(bytes.subarray(0, count));
      state.largest = Math.max(state.largest, bytes.length);
      return count;
    },
  };
  const output = new LogOutput(sink, (lost) => `${lost} lost\n`);
  return { state, output, ready: () => again() };
}

test("lines for a stopped reader are queued up to a limit and arrive in order", () => {
  const { state, output, ready } = reader();
  state.room = 7;
  for (let i = 0; i < 30_000; i++) output.write(`line number ${i}\n`);
  assert(output.waiting <= 256 << 10, `${output.waiting} bytes`);
  state.room = Infinity;
  ready();
  const lines = state.text.split("\n").slice(0, -1);
  const kept = lines.length - 1;
  lines.slice(0, kept).forEach((line, i) => assertStrictEquals(line, `line number ${i}`));
  assertStrictEquals(lines[kept], `${30_000 - kept} lost`);
  assert(state.largest <= 4096);
  output.write("again\n");
  assert(state.text.endsWith(" lost\nagain\n"));
  assertStrictEquals(output.waiting, 0);
});

test("one long message is cut between lines", () => {
  const { state, output, ready } = reader();
  state.room = 0;
  output.write("0123456789abcde\n".repeat(20_000));
  state.room = Infinity;
  ready();
  const lines = state.text.split("\n").slice(0, -1);
  assertStrictEquals(lines.length, 16_385);
  assertStrictEquals(lines.at(-1), "3616 lost");
});

test("lines written without a reader are lost, and counted once", () => {
  const { state, output } = reader();
  output.write("1\n");
  state.failing = true;
  for (let i = 0; i < 5; i++) output.write("2\n3\n");
  state.failing = false;
  output.write("4\n");
  assertStrictEquals(state.text, "1\n10 lost\n4\n");
});

test("the retry is by a timer, and the exit does not wait for a stopped reader", async () => {
  const { state, output } = reader();
  state.room = 0;
  output.write("late\n");
  const start = performance.now();
  await output.finish();
  const took = performance.now() - start;
  assert(took >= 190 && took < 5000, `${took} ms`);
  state.room = Infinity;
  while (state.text === "") await new Promise((resolve) => setTimeout(resolve, 5));
  assertStrictEquals(state.text, "late\n");
});

test("lines given up are counted once, for the process that goes on", () => {
  const { state, output } = reader();
  state.room = 3;
  output.write("one\ntwo\nthree\n");
  assertStrictEquals(output.giveUp(), "3 lost\n");
  assertStrictEquals(output.giveUp(), "");
});
