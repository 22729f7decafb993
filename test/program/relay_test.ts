/** The end of a relay over streams in memory: the events that each side gets, and when the client's side is
 *  closed. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { IdleTimer } from "../../src/program/idle.ts";
import { Lingering } from "../../src/program/linger.ts";
import { relay } from "../../src/program/relay.ts";
import { reasonWords } from "../../src/log/reasons.ts";
import { TlsError } from "../../src/runtime/runtime.ts";
import { FakeSink, FakeSocket, FakeSource, turn } from "../fake_streams.ts";

/** Starts a relay. */
function begin(
  { idleLimit = 3600, strict = false, awaitsAnswer = false, endsByFin = false, asks = false } = {},
) {
  const client = new FakeSocket();
  const [input, output] = [new FakeSink(), new FakeSource()];
  const { promise: exited, resolve: exit, reject: refuse } = Promise.withResolvers<number>();
  const identity = Promise.withResolvers<void>();
  identity.promise.catch(() => {});
  const seen: string[] = [];
  let time = 0;
  const lingering = new Lingering(40, 3_600_000, () => time);
  const idle = new IdleTimer(idleLimit);
  const program = {
    input,
    output,
    exited,
    identified: () => asks ? identity.promise : undefined,
    kill: () => seen.push("SIGTERM") > 0,
  };
  const going = relay(client, program, {
    idle,
    lingering,
    socket: client,
    traffic: { received: 0, sent: 0 },
    client: {
      awaitsAnswer,
      endsByFin,
      broken: ({ kind, cause }) => void seen.push(`${kind}: ${reasonWords(cause)}`),
      cut() {
        seen.push("cut");
        return strict ? new TlsError({ kind: "tls", fault: "other", text: "cut" }) : undefined;
      },
      silent: () => void seen.push("silent"),
      gone: () => void seen.push("gone"),
    },
  });
  let status: number | undefined;
  void going.status.then((value) => status = value, ({ message }) => seen.push(message));
  return {
    client,
    input,
    output,
    seen,
    lingering,
    exit,
    refuse,
    identity,
    get status() {
      return status;
    },
    /** Ends the program and its output. */
    async finish(): Promise<void> {
      output.put(null);
      exit(0);
      await turn();
    },
    pass(seconds: number): void {
      for (let second = 0; second < seconds; second++) {
        time += 1000;
        lingering.check();
      }
    },
    /** Ends both sides, and asserts that nothing lingers. */
    async over(): Promise<void> {
      client.lose();
      exit(0);
      await turn();
      assertStrictEquals(lingering.size, 0);
      assertStrictEquals(seen.filter((one) => one === "gone").length, 1);
    },
  };
}

test("a client that breaks TLS is reported and closed; its program gets end of file", async () => {
  const one = begin();
  one.client.lose(new TlsError({ kind: "tls", fault: "malformed", text: "bad record mac" }));
  assertEquals(one.seen, ["breach: bad record mac", "gone"]);
  assert(one.input.ended);
  assert(one.output.destroyed);
  one.exit(15);
  await turn();
  assertStrictEquals(one.status, 15);
  await one.over();
});

test("an end without close_notify is reported, and is end of file for the program", async () => {
  const one = begin();
  one.client.cut();
  assertEquals(one.seen, ["cut"]);
  assert(one.input.ended);
  await one.over();
});

test("with --enforce-close-notify, an end without close_notify breaks the connection", async () => {
  const one = begin({ strict: true });
  one.client.cut();
  assertEquals(one.seen, ["cut", "breach: cut", "gone"]);
  assert(one.client.destroyed && one.input.ended && one.output.destroyed);
  one.exit(0);
  await turn();
  assertStrictEquals(one.status, 0);
  assertStrictEquals(one.lingering.size, 0);
});

test("a client that has our close_notify may close with FIN alone", async () => {
  const one = begin();
  one.output.put(null);
  await turn();
  one.client.cut();
  one.client.lose(new TlsError({ kind: "client gone", how: "reset" }));
  assertEquals(one.seen, ["gone"]);
  await one.over();
});

test("only after an end without close_notify may a client send an alert", async () => {
  const alert = { kind: "alert", alert: "decode error", certificate: false } as const;
  for (const [endsByFin, ended] of [[true, true], [true, false], [false, true]] as const) {
    const one = begin({ endsByFin });
    if (ended) one.output.put(null);
    await turn();
    one.client.lose(new TlsError(alert));
    const seen = endsByFin && ended
      ? ["gone"]
      : ["breach: alert from the client: decode error", "gone"];
    assertEquals(one.seen, seen);
    await one.over();
  }
});

test("a missing close_notify is reported until the program has ended", async () => {
  for (const ended of [false, true]) {
    const one = begin({ awaitsAnswer: true });
    one.output.put(null);
    await turn();
    if (ended) one.exit(0);
    await turn();
    one.client.cut();
    one.client.lose(new TlsError({ kind: "client gone", how: "reset" }));
    const told = ["cut", "reset: connection reset by the peer", "gone"];
    assertEquals(one.seen, ended ? ["gone"] : told);
    await one.over();
  }
});

test("an orderly close after the end of output keeps unread data", async () => {
  const one = begin();
  one.output.put(null);
  await turn();
  one.client.lose();
  assert(one.input.ended);
  assert(!one.output.destroyed);
  await one.over();
});

test("a reset of a connection without TLS is not reported as a break of TLS", async () => {
  const one = begin();
  one.client.lose(new Error("connection reset by the peer"));
  assertEquals(one.seen, ["gone"]);
  await one.over();
});

test("remaining output of an ended program waits seconds, not the idle limit", async () => {
  const one = begin();
  one.client.output.full = true;
  one.client.unsent = 100_000;
  one.output.put("x".repeat(1000));
  await turn();
  one.exit(0);
  await turn();
  one.pass(29);
  assertStrictEquals(one.status, undefined);
  assert(!one.client.destroyed);
  one.pass(1);
  await turn();
  assertStrictEquals(one.status, 0);
  assert(one.client.destroyed);
  assert(!one.client.closed, "a client that has not everything must see a reset");
  assertEquals(one.seen, ["gone"]);
  await one.over();
});

test("a client that does not close gets an orderly close", async () => {
  const one = begin();
  await one.finish();
  one.client.unsent = 0;
  assertStrictEquals(one.status, 0);
  assert(one.client.output.ended);
  one.pass(11);
  assert(one.client.closed);
  assertEquals(one.seen, ["gone"]);
  await one.over();
});

test("the idle limit ends the client's side in order, and the program by SIGTERM", async () => {
  const one = begin({ idleLimit: 0.01 });
  while (one.seen.length === 0) await turn();
  assert(one.client.output.ended, "close_notify");
  assert(!one.client.destroyed, "what was sent still arrives");
  assertEquals(one.seen, ["silent", "SIGTERM"]);
  assert(one.input.ended && one.output.destroyed);
  one.exit(15);
  await turn();
  assertStrictEquals(one.status, 15);
  one.client.unsent = 0;
  one.pass(11);
  assert(one.client.closed);
  await one.over();
});

test("an end without output waits until the program is known to run", async () => {
  const one = begin({ asks: true });
  one.output.put(null);
  await turn();
  assert(!one.client.output.ended);
  one.identity.resolve();
  await turn();
  assert(one.client.output.ended, "close_notify");
  one.exit(0);
  await turn();
  assertStrictEquals(one.status, 0);
  await one.over();
});

test("an end with output need not wait", async () => {
  const one = begin({ asks: true });
  one.output.put("x");
  one.output.put(null);
  await turn();
  assert(one.client.output.ended);
  await one.over();
});

test("the client of a program that was not started gets no close_notify", async () => {
  for (const ended of [false, true]) {
    const one = begin({ asks: true });
    if (ended) one.output.put(null);
    await turn();
    one.identity.reject(new Error("not run"));
    one.refuse(new Error("not run"));
    await turn();
    assertEquals(one.seen, ["not run"]);
    assert(!one.client.output.ended);
    assert(one.input.destroyed && one.output.destroyed);
    assertEquals([one.status, one.lingering.size], [undefined, 0]);
  }
});
