/** Every request of a worker in every state: a request ends the worker if and only if it is not permitted.
 *  The tables here are written by hand, so that a mistake in src/privsep/messages.ts is found. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../../src/codec/bytes.ts";
import { countKinds } from "../../../src/metrics/describe.ts";
import {
  type MessageKind,
  type MessageOf,
  MESSAGES,
  stateAfter,
  type WorkerMessage,
} from "../../../src/privsep/messages.ts";
import {
  Departure,
  type Phase,
  phaseAfter,
  type PhaseEvent,
  PHASES,
} from "../../../src/privsep/monitor/departure.ts";
import { Requests, type RequestsOptions } from "../../../src/privsep/monitor/requests.ts";
import type { Worker } from "../../../src/privsep/monitor/worker_handle.ts";
import {
  ACTIVE_STATES,
  LEFT_STATES,
  SERVED_STATES,
  STATE_AFTER_DRAIN,
  WORKER_STATES,
  type WorkerState,
} from "../../../src/privsep/worker_states.ts";
import { within } from "../../runtime/tools.ts";
import { SAMPLES } from "../messages_samples.ts";
import { RawFrame } from "../raw_frame.ts";
import { type Puppet, settled, stage } from "../puppet.ts";

type Staged = Awaited<ReturnType<typeof stage>>;
type WorkerKind = MessageKind<"worker">;

/** The state after each request; `-` if it ends the worker. */
const AFTER: Readonly<Record<WorkerKind, string>> = {
  //        starting  listening serving draining left settled
  READY: "  listening -         -       -        -    -",
  FATAL: "  starting  listening -       -        -    -",
  RESOLVED: "starting -         -       -        -    -",
  START: "  -         -         serving draining left -",
  PREPARE: "-         -         serving draining left -",
  RUN: "    -         -         serving draining left -",
  IDENTIFY: "-        -         serving draining left settled",
  CANCEL: " -         -         serving draining left -",
  KILL: "   -         -         serving draining left settled",
  TAKE: "   -         -         serving draining left -",
  CHECK: "  -         -         serving draining left -",
  RELEASE: "-         -         serving draining left settled",
  SETTLED: "-         -         -       -        settled -",
  COUNTS: " -         -         serving draining left settled",
  SERVING: "-         serving   -       -        -    -",
  SCRAPE: " -         -         serving draining left settled",
  PLACED: " starting  -         -       -        -    -",
  LEFT: "   -         -         -       left     -    -",
  LOST: "   -         -         serving draining left -",
  WANT: "   -         -         serving draining left -",
  RETURN: " -         -         serving draining left settled",
  GOOD: "   starting  listening serving draining left settled",
  RULES: "  -         -         serving draining left -",
};

const LIVING: readonly WorkerState[] = WORKER_STATES.filter((state) => state !== "ended");

function expected(kind: WorkerKind, state: WorkerState): string {
  return state === "ended" ? "-" : AFTER[kind].trim().split(/ +/)[LIVING.indexOf(state)] ?? "";
}

const KINDS = Object.keys(AFTER) as WorkerKind[];

test("the state after each request is that of the table, in every state", () => {
  assertStrictEquals(
    KINDS.length,
    Object.values(MESSAGES).filter(({ from }) => from === "worker").length,
  );
  for (const kind of KINDS) {
    for (const state of WORKER_STATES) {
      const after = expected(kind, state);
      if (after !== "-") {
        assertStrictEquals(stateAfter(state, kind), after, `${kind} while ${state}`);
      } else {
        const { message } = assertThrows(() => stateAfter(state, kind), DecodeError);
        assertStrictEquals(message, `privsep: kind: no ${kind} while ${state}`);
      }
    }
  }
});

test("the groups of states are what their names say", () => {
  assertEquals(ACTIVE_STATES, ["serving", "draining", "left"]);
  assertEquals(SERVED_STATES, ["serving", "draining", "left", "settled"]);
  assertEquals(LEFT_STATES, ["left", "settled"]);
  assertEquals(WORKER_STATES.map((state) => STATE_AFTER_DRAIN[state]), [
    "ended",
    "ended",
    "draining",
    "draining",
    "left",
    "settled",
    "ended",
  ]);
});

/** A message of these kinds that is valid wherever the kind is permitted. */
const VALID: Partial<Record<WorkerKind, WorkerMessage>> = {
  RESOLVED: { kind: "RESOLVED", ip: "127.0.0.1" },
  TAKE: { ...SAMPLES["TAKE without limits"] as MessageOf<"TAKE">, id: 10 },
  RETURN: { kind: "RETURN", count: 0 },
  COUNTS: { kind: "COUNTS", id: 0, counts: new Float64Array(countKinds().length) },
  SCRAPE: { kind: "SCRAPE", id: 1, counts: new Float64Array(countKinds().length) },
  START: {
    kind: "START",
    id: 1,
    delayed: false,
    ruled: false,
    ip: "192.0.2.1",
    host: "",
    info: "",
    variables: new Map(),
  },
};

/** Brings a worker into a state in which `kind` is valid if it ever is. */
async function bring(
  state: WorkerState,
  kind: WorkerKind,
): Promise<{ made: Staged; puppet: Puppet }> {
  const named = kind === "RESOLVED"; // the host is a name
  const rules = kind === "RULES" ? ["--access-cdb", "/nowhere"] : [];
  const argv = ["--metrics", "127.0.0.1:0", ...rules];
  const made = await stage({ fake: true, argv, named });
  const [puppet] = made.puppets as [Puppet];
  await puppet.hear("INIT");
  puppet.dropDescriptors();
  const steps: Partial<Record<WorkerState, () => Promise<unknown> | void>> = {
    listening: async () => {
      if (named) puppet.send({ kind: "RESOLVED", ip: "127.0.0.1" });
      puppet.send({ kind: "READY" });
      await puppet.hear("LISTEN");
      puppet.dropDescriptors();
    },
    serving: async () => {
      puppet.send({ kind: "SERVING" });
      await puppet.hear("SLOTS");
      if (kind === "RUN") {
        puppet.send({ kind: "PREPARE" });
        await puppet.hear("PIPES");
        puppet.dropDescriptors();
      }
      puppet.send(SAMPLES["TAKE without limits"] as WorkerMessage); // for CHECK and RELEASE
    },
    draining: async () => {
      made.monitor.drain();
      await puppet.hear("DRAIN");
    },
    left: () => puppet.send({ kind: "LEFT" }),
    settled: () => puppet.send({ kind: "SETTLED" }),
  };
  for (const step of LIVING.slice(0, LIVING.indexOf(state) + 1)) await steps[step]?.();
  return { made, puppet };
}

/** The reason why the monitor has ended the worker. */
async function why({ made, puppet }: { made: Staged; puppet: Puppet }): Promise<string> {
  await within(puppet.ended, "end of the worker");
  if (!made.monitor.draining) {
    const failed = await made.started.then(() => "", (error: Error) => error.message);
    if (failed !== "") return failed;
  }
  await settled("a line", () => made.lines.length > 0);
  return made.lines.join("\n");
}

for (const state of LIVING) {
  test(
    `the monitor follows the table while a worker is ${state}`,
    { timeout: 120_000 },
    async () => {
      for (const kind of KINDS) {
        const one = await bring(state, kind);
        const message = VALID[kind] ?? Object.values(SAMPLES).find((one) => one.kind === kind);
        one.puppet.send(message as WorkerMessage);
        // The next frame always ends the worker. The reason shows whether the first one already did.
        one.puppet.say(new RawFrame(63).done());
        const reason = await why(one);
        if (expected(kind, state) === "-") {
          assert(reason.includes(`was ended: privsep: kind: no ${kind} while ${state}`), reason);
        } else {assertMatch(
            reason,
            kind === "FATAL" ? /^unable to read k/ : /kind: no message 63/,
            kind,
          );}
        await one.made.close();
      }
    },
  );
}

test("the news of a worker's end does not overtake its last message", async () => {
  const one = await bring("starting", "FATAL");
  one.puppet.send(Object.values(SAMPLES).find(({ kind }) => kind === "FATAL") as WorkerMessage);
  one.puppet.launched.kill("SIGKILL");
  assertMatch(await why(one), /^unable to read k/);
  await one.made.close();
});

test("messages of a worker that is being killed are ignored", () => {
  const untouched = new Proxy({}, { get: () => undefined });
  const requests = new Requests(untouched as RequestsOptions);
  const worker = { state: "ended" } as Worker;
  for (const message of Object.values(SAMPLES)) requests.receive(worker, message);
  assertStrictEquals(worker.state, "ended");
});

/** The phase after each event, in the order of `PHASES`. */
const PHASES_AFTER: Readonly<Record<PhaseEvent, readonly Phase[]>> = {
  //              serving     draining     hurried      ending       over    abandoned
  drain: ["draining", "draining", "hurried", "ending", "over", "abandoned"],
  end: ["ending", "ending", "ending", "ending", "over", "abandoned"],
  late: ["serving", "hurried", "hurried", "ending", "over", "abandoned"],
  "programs over": ["serving", "draining", "hurried", "over", "over", "abandoned"],
  abandon: Array(6).fill("abandoned"),
};

test("the monitor's end goes from phase to phase as the table says", () => {
  for (const [event, after] of Object.entries(PHASES_AFTER)) {
    for (const [i, phase] of PHASES.entries()) {
      assertStrictEquals(
        phaseAfter(phase, event as PhaseEvent),
        after[i],
        `${event} while ${phase}`,
      );
    }
  }
});

test("the monitor is needed until its workers are where each phase wants them", async () => {
  const ways: Readonly<Record<Phase, readonly PhaseEvent[]>> = {
    serving: [],
    draining: ["drain"],
    hurried: ["drain", "late"],
    ending: ["end"],
    over: ["end", "programs over"],
    abandoned: ["abandon"],
  };
  const free: Readonly<Record<Phase, readonly WorkerState[][]>> = {
    serving: [],
    draining: [["settled", "settled"], []],
    hurried: [["left", "settled"], ["settled", "settled"], []],
    ending: [],
    over: [[]],
    abandoned: [],
  };
  const others: readonly WorkerState[] = ["starting", "listening", "serving", "draining", "ended"];
  const sets: WorkerState[][] = [
    [],
    ["settled", "settled"],
    ["left", "settled"],
    ...others.map((state): WorkerState[] => [state, "settled"]),
  ];
  for (const phase of PHASES) {
    for (const states of sets) {
      const workers = states.map((state) => ({ state })) as unknown as readonly Worker[];
      const departure = new Departure({ untilFree: () => Promise.resolve() }, () => workers);
      for (const event of ways[phase]) departure.happens(event);
      assertStrictEquals(departure.phase, phase);
      let closed = false;
      departure.closed.then(() => closed = true);
      departure.check();
      await new Promise((resolve) => setImmediate(resolve));
      const wanted = free[phase].some((set) => set.join() === states.join());
      assertStrictEquals(closed, wanted, `${phase} with ${states.join()}`);
    }
  }
});
