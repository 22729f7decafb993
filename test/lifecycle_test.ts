/** The stages of a connection and the end of a server: every state with every event, and the stages in
 *  each possible order. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Connection, type ConnectionObserver, type Stage } from "../src/connection.ts";
import { Drain, type DrainEvent, type DrainState, Lifecycle } from "../src/lifecycle.ts";
import type { Listener, Program, Socket } from "../src/runtime/runtime.ts";

const EVENTS: readonly DrainEvent[] = ["asked", "stopped", "all started", "all over"];

/** The state after each event in each state. A missing state or event is a type error. */
const TABLE: Readonly<Record<DrainState, Readonly<Record<DrainEvent, DrainState>>>> = {
  serving: {
    "asked": "draining",
    "stopped": "serving",
    "all started": "serving",
    "all over": "serving",
  },
  draining: {
    "asked": "draining",
    "stopped": "left",
    "all started": "draining",
    "all over": "draining",
  },
  left: { "asked": "left", "stopped": "left", "all started": "settled", "all over": "left" },
  settled: {
    "asked": "settled",
    "stopped": "settled",
    "all started": "settled",
    "all over": "closed",
  },
  closed: { "asked": "closed", "stopped": "closed", "all started": "closed", "all over": "closed" },
};

test("each event has its outcome in each state of a drain, and promises resolve once on the way", async () => {
  for (const [i, state] of (Object.keys(TABLE) as DrainState[]).entries()) {
    for (const event of EVENTS) {
      const drain = new Drain();
      const seen: string[] = [];
      for (const name of ["left", "settled", "closed"] as const) {
        void drain.until(name).then(() => seen.push(name));
      }
      for (const step of EVENTS.slice(0, i)) assert(drain.on(step));
      assertStrictEquals(drain.state, state);
      const wanted = TABLE[state][event];
      assertStrictEquals(drain.on(event), wanted !== state, `${event} when ${state}`);
      assertStrictEquals(drain.state, wanted, `${event} when ${state}`);
      await Promise.resolve();
      const states = ["serving", "draining", "left", "settled", "closed"];
      assertEquals(seen, states.slice(2, states.indexOf(wanted) + 1));
    }
  }
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ADDRESS = { ip: "192.0.2.1", port: 1 };

/** A server with fake connections, and the events that it causes. */
function server() {
  const seen: string[] = [];
  const gate = { listener: undefined as Listener | undefined, takeQueue: () => seen.push("queue") };
  const life = new Lifecycle(gate);
  const listener: Listener = {
    port: 7,
    crowded: false,
    pause() {},
    resume() {},
    close: () => seen.push("not listening"),
  };
  const made = life.server(listener);
  for (const name of ["left", "settled", "closed"] as const) {
    void made[name].then(() => seen.push(name));
  }
  const come = (): Connection => {
    const socket = {
      local: ADDRESS,
      remote: ADDRESS,
      destroy() {},
      abort: () => void seen.push(`${conn.givenUp?.kind}`),
    } as unknown as Socket;
    const conn = new Connection(socket, undefined, undefined, [life]);
    conn.enter("accepted");
    return conn;
  };
  const run = (conn: Connection): void => {
    const kill = (signal: string): boolean => seen.push(signal) > 0;
    conn.program = { pid: 5, kill } as unknown as Program;
    conn.enter("starting");
    conn.enter("conversing");
  };
  /** The events since the last call. */
  const became = async (): Promise<string[]> => {
    for (let i = 0; i < 3; i++) await turn();
    return seen.splice(0);
  };
  return { made, gate, come, run, became };
}

test("a drain waits for programs, then for clients that have not read all", async () => {
  const { made, come, run, became } = server();
  const [first, second] = [come(), come()];
  run(first);
  made.drain();
  made.drain();
  assertEquals(await became(), ["queue", "not listening", "left"]);
  run(second);
  assertEquals(await became(), ["settled"]);
  first.clientGone();
  first.finish();
  second.finish();
  assertStrictEquals(second.stage, "lingering");
  assertEquals(await became(), []);
  second.clientGone();
  assertEquals(await became(), ["closed"]);
});

test("a drain without patience closes connections without a program", async () => {
  const { made, come, run, became } = server();
  const [first, second] = [come(), come()];
  run(first);
  made.drain(0);
  assertEquals(await became(), ["not listening", "shut down", "left"]);
  second.finish();
  assertEquals(await became(), ["settled"]);
  first.finish();
  first.clientGone();
  assertEquals(await became(), ["closed"]);
});

test("an end closes all connections and sends SIGTERM to programs", async () => {
  const { made, come, run, became } = server();
  const [first, second, third] = [come(), come(), come()];
  run(first);
  run(second);
  second.finish();
  made.end();
  assertEquals((await became()).filter((one) => one !== "SIGKILL"), [
    "queue",
    "shut down",
    "shut down",
    "SIGTERM",
    "not listening",
    "left",
  ]);
  third.finish();
  assertEquals((await became()).filter((one) => one !== "SIGKILL"), ["settled"]);
  first.clientGone();
  first.finish();
  assertEquals((await became()).filter((one) => one !== "SIGKILL"), ["closed"]);
});

test("a server without connections closes as soon as it has left", async () => {
  const { made, gate, became } = server();
  assertStrictEquals(gate.listener?.port, 7);
  made.drain(undefined, false);
  assertEquals(await became(), ["not listening", "left", "settled", "closed"]);
});

/** A connection, and in order the stages reported to an observer and the resources that it releases. */
function watched(program: boolean): { conn: Connection; told: string[] } {
  const told: string[] = [];
  const observer: ConnectionObserver = {
    entered: (conn, before) => void told.push(`${before} > ${conn.stage}`),
    failed: (_, { reason, stage }) => void told.push(`${reason.kind} in ${stage}`),
    programEnded: (_, { pid }, status) => void told.push(`${pid}: ${status}`),
  };
  const socket = {
    local: ADDRESS,
    remote: ADDRESS,
    destroy: () => void told.push("socket"),
  } as unknown as Socket;
  const conn = new Connection(socket, undefined, undefined, [observer]);
  conn.reservation = { release: () => void told.push("address") };
  conn.slot = { release: () => void told.push("slot") } as Connection["slot"];
  if (program) conn.program = { pid: 5 } as Program;
  return { conn, told };
}

test("a connection without a program releases its slot, its socket and its reservation", () => {
  const { conn, told } = watched(false);
  conn.enter("hello");
  conn.fail({ kind: "shut down" });
  conn.fail({ kind: "internal", text: "x" });
  conn.finish();
  assertEquals(told, [
    "accepted > hello",
    "shut down in hello",
    "internal in hello",
    "slot",
    "socket",
    "address",
    "hello > over",
  ]);
  assertEquals(conn.endedBy, { reason: { kind: "shut down" }, stage: "hello" });
});

test("the end of the client and that of the program come in any order", () => {
  const orders: [string, Stage[]][] = [
    ["client, program", ["finishing", "over"]],
    ["client, client, program, client", ["finishing", "finishing", "over", "over"]],
    ["program, client", ["lingering", "over"]],
    ["program, client, client", ["lingering", "over", "over"]],
  ];
  for (const from of ["conversing", "hello", "handshake"] as const) { // the latter with -n
    for (const [order, stages] of orders) {
      const { conn, told } = watched(true);
      conn.enter(from);
      for (const [i, who] of order.split(", ").entries()) {
        if (who === "client") conn.clientGone();
        else {
          conn.programEnded({ pid: 5 } as Program, 0);
          conn.finish();
        }
        assertStrictEquals(conn.stage, stages[i], `${from}: ${order}`);
      }
      const entered = told.filter((one) => one.includes(" > ")).map((one) => one.split(" > ")[1]);
      assertStrictEquals(new Set(entered).size, entered.length, `${order}: each stage once`);
      assertStrictEquals(entered.at(-1), "over", order);
      assertStrictEquals(told.filter((one) => one === "5: 0").length, 1);
      assert(told.includes("address") && !told.includes("slot") && !told.includes("socket"));
    }
  }
});
