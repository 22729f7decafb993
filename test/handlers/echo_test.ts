/** --echo: order, back-pressure and ends, with a client and its relay in memory. */

import { assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { echo } from "../../src/handlers/echo.ts";
import { IdleTimer } from "../../src/program/idle.ts";
import { Lingering } from "../../src/program/linger.ts";
import { relay } from "../../src/program/relay.ts";
import { FakeSocket, turn } from "../fake_streams.ts";

function begin() {
  const client = new FakeSocket();
  const program = echo.start({} as never);
  const going = relay(client, program, {
    idle: new IdleTimer(3600),
    lingering: new Lingering(40, 3_600_000, () => 0),
    socket: client,
    traffic: { received: 0, sent: 0 },
    client: { broken() {}, cut() {}, gone() {} },
  });
  const state: { status: number | undefined } = { status: undefined };
  void going.status.then((value) => state.status = value);
  return { client, program, state };
}

test("the client's bytes come back, and its end of data ends the echo", async () => {
  const { client, state } = begin();
  for (const text of ["one ", "two ", "three"]) client.put(text);
  await turn();
  assertStrictEquals(client.output.text, "one two three");
  assertStrictEquals(client.output.ended, false);
  client.put(null);
  await turn();
  assertStrictEquals(client.output.ended, true);
  assertStrictEquals(state.status, 0);
});

test("a client that does not read is not read, until it reads again", async () => {
  const { client, state } = begin();
  client.output.full = true;
  for (const text of ["a", "b", "c"]) client.put(text);
  await turn();
  assertStrictEquals(client.output.text, "a");
  assertStrictEquals(client.flowing, false);
  client.drain();
  await turn();
  assertStrictEquals(client.output.text, "abc");
  client.put(null);
  await turn();
  assertStrictEquals(state.status, 0);
});

test("a closed client or a stopped server ends the echo", async () => {
  const gone = begin();
  gone.client.put("x");
  await turn();
  gone.client.lose();
  await turn();
  assertStrictEquals(gone.state.status, 0);

  const ended = begin();
  await turn();
  assertStrictEquals(ended.program.kill("SIGTERM"), true);
  await turn();
  assertStrictEquals(ended.client.output.ended, true);
  assertStrictEquals(ended.state.status, 0);
});
