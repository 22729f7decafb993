/** The plain phase of UCSPI-TLS: every event in every state, and events in any order. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { latin1 } from "../../src/codec/bytes.ts";
import {
  PLAIN_TRANSITIONS,
  type PlainEvent,
  type PlainState,
} from "../../src/program/ucspi_tls_states.ts";
import { HandshakeError } from "../../src/runtime/runtime.ts";
import { turn } from "../fake_streams.ts";
import { begin, HELLO } from "./plain_phase.ts";

type Phase = ReturnType<typeof begin>;

/** The external events of a phase. */
const HAPPENINGS = {
  y: (phase: Phase) => phase.control.put("y"),
  Y: (phase: Phase) => phase.control.put("Y"),
  "other letter": (phase: Phase) => phase.control.put("Q"),
  "control ends": (phase: Phase) => phase.control.put(null),
  "control breaks": (phase: Phase) => phase.control.lose(new Error("EIO")),
  "output ends": (phase: Phase) => phase.output.put(null),
  "output breaks": (phase: Phase) => phase.output.lose(new Error("EIO")),
  exits: (phase: Phase) => phase.exit(0),
  "client takes all": (phase: Phase) => phase.client.drain(),
  "client ends": (phase: Phase) => phase.client.put(null),
  "client goes": (phase: Phase) => phase.client.lose(new Error("ECONNRESET")),
  "client is given up": (phase: Phase) => phase.client.abort(),
  "output read again": (phase: Phase) => phase.input.drain(),
  "program closes fd 0": (phase: Phase) => phase.input.lose(new Error("EPIPE")),
} as const;

type Happening = keyof typeof HAPPENINGS;

/** The events that lead to each state. */
const WAYS: Readonly<Record<PlainState, readonly Happening[]>> = {
  open: [],
  orphaned: ["exits"],
  closing: ["output ends"],
  clear: ["control ends"],
  asked: ["y"], // while the client does not read the earlier output
  tls: ["client takes all", "y"],
  ended: ["output ends", "control ends"],
};

async function turns(): Promise<void> {
  for (let n = 0; n < 4; n++) await turn();
}

/** Brings a phase to `state`. The program has written a line. For the states that follow a request, the
 *  client does not read it at first. */
async function reached(state: PlainState): Promise<Phase> {
  const phase = begin();
  await turn();
  phase.client.output.full = state === "asked" || state === "tls";
  phase.output.put("220 go\r\n");
  await turn();
  for (const happening of WAYS[state]) {
    HAPPENINGS[happening](phase);
    await turns();
  }
  assertStrictEquals(phase.state, state);
  return phase;
}

/** The next state if it changes. `gone`: the program's request is refused, because the client is gone. */
const EXPECTED: Readonly<Record<PlainState, Partial<Record<Happening, PlainState | "gone">>>> = {
  open: {
    y: "tls",
    Y: "tls",
    "other letter": "clear",
    "control ends": "clear",
    "control breaks": "clear",
    "output ends": "closing",
    "output breaks": "closing",
    exits: "orphaned",
  },
  orphaned: {
    y: "tls",
    Y: "tls",
    "other letter": "clear",
    "control ends": "clear",
    "control breaks": "clear",
    "output ends": "ended",
    "output breaks": "ended",
  },
  closing: {
    y: "tls",
    Y: "tls",
    "other letter": "ended",
    "control ends": "ended",
    "control breaks": "ended",
    exits: "ended",
  },
  clear: { "output ends": "ended", "output breaks": "ended" },
  asked: {
    "client takes all": "tls",
    "client goes": "gone",
    "client is given up": "gone",
  },
  tls: {},
  ended: {},
};

const STATES = Object.keys(PLAIN_TRANSITIONS) as PlainState[];

for (const state of STATES) {
  test(`what happens in the state "${state}"`, async () => {
    for (const happening of Object.keys(HAPPENINGS) as Happening[]) {
      const where = `${state}, ${happening}`;
      const phase = await reached(state);
      const settled = phase.result;
      HAPPENINGS[happening](phase);
      await turns();
      const expected = EXPECTED[state][happening] ?? state;
      const refused = expected === "gone";
      const next = refused ? "tls" : expected;
      assertStrictEquals(phase.state, next, where);
      // The client gets end of file only when fd 1 and the control descriptor have both ended.
      const mayEnd = next === "ended" || /^client (?:goes|is given up)$/.test(happening);
      assertStrictEquals(phase.client.output.ended, next === "ended", where);
      assertStrictEquals(phase.client.output.text, "220 go\r\n", where);
      if (settled !== undefined) assertStrictEquals(phase.result, settled, where);
      else if (refused) assert(phase.result instanceof HandshakeError, where);
      else if (next === "tls") {
        const environment = happening === "Y";
        assertEquals(phase.result, { request: { environment, hello: new Uint8Array(0) } });
      } else assert(mayEnd || phase.result === undefined, where);
      if (happening === "other letter" && state !== "asked" && state !== "tls") {
        assert(phase.control.destroyed, where);
        const open = state === "clear" || state === "ended"; // closed earlier in these states
        assert(phase.answer.destroyed || open, where);
      }
      if (next === "tls") assert(phase.input.destroyed, where);
      // After any event, later output reaches the client unless TLS has begun.
      if (phase.output.destroyed || next === "closing" || next === "ended") continue;
      phase.output.put("more\r\n");
      await turns();
      const more = next === "tls" || next === "asked" ? "" : "more\r\n";
      assertStrictEquals(phase.client.output.text, `220 go\r\n${more}`, where);
    }
  });
}

test("the table has a state for every event in every state, with or without a request on its way", () => {
  const events: PlainEvent[] = ["ask", "hangUp", "end", "exit", "settle"];
  for (const state of STATES) {
    assertEquals(Object.keys(PLAIN_TRANSITIONS[state]).sort(), [...events].sort());
    for (const event of events) {
      for (const pending of [false, true]) {
        const next = PLAIN_TRANSITIONS[state][event];
        assert(STATES.includes(typeof next === "string" ? next : next(pending)));
      }
    }
  }
  for (const event of events) { // final states do not change
    assertEquals([PLAIN_TRANSITIONS.tls[event], PLAIN_TRANSITIONS.ended[event]], [
      "tls",
      "ended",
    ]);
  }
});

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Makes one random walk: events in random order, then a request or the program's end. Returns the final
 *  state. */
async function walk(seed: number): Promise<PlainState> {
  const random = numbers(seed);
  const phase = begin();
  const { client, output, control } = phase;
  /** The program's output before its request, and after. */
  let [before, after] = ["", ""];
  let asked = false;
  let ended = false;
  let lines = 0;
  let atTls: string | undefined;
  void phase.done.then(() => atTls = client.output.text);
  const steps = {
    output() {
      if (ended) return;
      const line = `line ${++lines}\n`;
      if (asked) after += line;
      else before += line;
      output.put(line);
    },
    command: () => client.put("STARTTLS\r\n"),
    slow: () => client.output.full = true,
    fast: () => client.drain(),
    late: () => output.pause(), // as if the kernel reported output late
    soon: () => output.resume(),
    end() {
      if (!ended && random() < 0.3) output.put(null);
      else return;
      ended = true;
    },
    exit: () => random() < 0.3 && phase.exit(0),
  };
  const story: string[] = [`seed ${seed}`];
  const act = async (names: readonly (keyof typeof steps)[], count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const name = names[Math.floor(random() * names.length)] as keyof typeof steps;
      story.push(name);
      steps[name]();
      if (random() < 0.5) await turn();
    }
  };
  const all = Object.keys(steps) as (keyof typeof steps)[];
  await act(all, 10);
  const says = random() < 0.5;
  const cut = Math.floor(random() * (HELLO.length + 1));
  if (says) { // a client that has got permission to begin TLS
    client.drain();
    output.resume();
    await turns();
    client.put(HELLO.subarray(0, cut));
  }
  asked = random() < 0.7;
  control.put(asked ? "y" : null);
  story.push(asked ? `ask, ${says ? `hello cut at ${cut}` : "no hello"}` : "hang up");
  await act(says ? ["slow", "fast", "end", "exit"] : all, 6);
  if (!asked) {
    if (!ended) output.put(null);
    phase.exit(0);
  }
  client.drain();
  output.resume();
  await turns();
  const what = story.join(", ");
  if (phase.state !== "tls") {
    // The program's request came after its end, or there was none.
    assertStrictEquals(phase.state, "ended", what);
    assert(client.output.ended, what);
    assertStrictEquals(client.output.text, before + after, what);
    return phase.state;
  }
  assert(asked && atTls !== undefined, what);
  assert(atTls.startsWith(before), `${what}: TLS began before all of ${JSON.stringify(before)}`);
  assert((before + after).startsWith(atTls), what);
  if (says) {
    let rest = "";
    client.take({ data: (chunk) => rest += latin1(chunk) });
    client.put(HELLO.subarray(cut));
    client.resume();
    await turns();
    assertStrictEquals(await phase.hello() + rest, latin1(HELLO), what);
  }
  output.put("secret\n");
  output.put(null);
  await turns();
  assertStrictEquals(client.output.text, atTls, `${what}: in the clear after TLS began`);
  assert(!client.output.ended, what);
  return phase.state;
}

test("in any order of events, all clear output comes before TLS and the ClientHello is passed on", async () => {
  const seen = { tls: 0, ended: 0 };
  for (let seed = 1; seed <= 500; seed++) seen[await walk(seed) as keyof typeof seen]++;
  assert(seen.tls > 100 && seen.ended > 100, JSON.stringify(seen));
});
