/** What the benchmark measures, in its order: the sections, their servers, and the loads. */

import {
  besideIdle,
  besideStalled,
  connections,
  justStarted,
  nagle,
  rare,
  underLoad,
} from "./connections.ts";
import type { Demand, JointMeasurement, Measurement, WarmMeasurement } from "./measure.ts";
import type { Tools } from "./prepare.ts";
import { download, echo, idle, start } from "./resources.ts";
import { handlers, type Subject, variants } from "./servers.ts";

export interface Section {
  name: string;
  title: string;
  subjects: Subject[];
  /** The subject to which the ratios refer. */
  reference: string;
  /** The steps of a round. All servers do a step before the next one begins. */
  steps?: readonly Measurement[];
  /** In place of `steps`: measures servers that are warm and stay. */
  warm?: Warm;
  /** Measures all servers together, once, in place of `steps`. */
  together?: JointMeasurement;
  /** Measured in one round, because other load of the machine hardly affects it. */
  once?: boolean;
}

export interface Warm {
  /** Sections of the same group share their servers. */
  group: string;
  /** The steps of a turn. All servers do a step before the next one begins. */
  steps: readonly WarmMeasurement[];
  turns: number;
  /** The turns of other projects' servers, which are the first ones. */
  peerTurns: number;
}

export interface Choice {
  rounds: number;
  /** Turns of `conn` and `handlers`. */
  turns: number;
  /** Rounds and turns of other projects' servers. */
  peerRounds: number;
  /** Milliseconds between two connections of `rare`. */
  interval: number;
  /** True if the section with this name is measured. */
  section(name: string): boolean;
  /** True if the variant of ours with this name is measured. */
  variant(name: string): boolean;
}

const ONE = { atOnce: 1, total: 300, seconds: 1.5 };
const FOUR = { atOnce: 4, total: 500, seconds: 1.5 };
const SIXTEEN = { atOnce: 16, total: 1000, seconds: 2 };
const MANY = { atOnce: 64, total: 2000, seconds: 3 };
const MOST = { atOnce: 128, total: 2000, seconds: 3 };

/** The numbers of clients at once that the plot shows. */
export const LOADS: readonly Demand[] = [ONE, FOUR, SIXTEEN, MANY, MOST];
/** The first connections of a server. Servers of other projects compile nothing while they run, so their
 *  first connections are like all others. */
const FIRST: readonly Demand[] = [1, 16, 64].map((atOnce) => ({
  atOnce,
  total: 2000,
  seconds: 12,
}));

/** The sections that are chosen and have servers. `all`: the servers to compare, the reference first. */
export function sections(tools: Tools, all: Subject[], choice: Choice): Section[] {
  const { rounds, turns, peerRounds: peerTurns } = choice;
  const toReference = { subjects: all, reference: all[0]?.name ?? "" };
  const own = { ...toReference, subjects: all.filter(({ peer }) => !peer) };
  const ofOurs = (name: string) => ({
    name,
    subjects: choice.section(name) ? variants(tools, name, choice.variant) : [],
    reference: "ours",
  });
  const ofHandlers = (form: "binary" | "deno", title: string): Section => {
    const subjects = choice.section("handlers") ? handlers(tools, form) : [];
    const reference = subjects[0]?.name ?? "";
    const warm = { group: title, steps: underLoad([ONE, SIXTEEN, MANY]), turns, peerTurns };
    return { name: "handlers", title: `Handlers: ${title}`, subjects, reference, warm };
  };
  const stalled = (group: string): Warm => (
    { group, steps: [besideStalled], turns: rounds, peerTurns }
  );
  const [log, rules, workers] = [ofOurs("log"), ofOurs("rules"), ofOurs("workers")];
  const plan: Section[] = [
    {
      name: "conn",
      title: "Connections, warm",
      ...toReference,
      warm: { group: "all", steps: underLoad(LOADS), turns, peerTurns },
    },
    {
      name: "stalled",
      title: "Beside stalled handshakes",
      ...toReference,
      warm: stalled("all"),
    },
    {
      name: "held",
      title: "Beside idle connections",
      ...own,
      warm: { group: "all", steps: [besideIdle], turns: rounds, peerTurns },
    },
    {
      name: "first",
      title: "Just started: the first 2,000 connections",
      ...own,
      steps: FIRST.map(justStarted),
    },
    {
      name: "rare",
      title: `Just started: one connection per ${choice.interval / 1000} s`,
      ...toReference,
      together: rare(choice.interval),
    },
    { name: "nagle", title: "Without TCP_NODELAY", ...toReference, steps: [nagle] },
    { name: "bytes", title: "Throughput", ...toReference, steps: [echo, download] },
    ofHandlers("binary", "compiled"),
    ofHandlers("deno", "Deno"),
    { ...log, title: "With a log", steps: [connections([MANY])] },
    { ...rules, title: "With rules", steps: [connections([MANY])] },
    { ...workers, title: "Workers: connections", steps: [connections([ONE, SIXTEEN, MANY])] },
    { ...workers, title: "Workers: beside stalled handshakes", warm: stalled("workers") },
    { ...workers, title: "Workers: throughput", steps: [echo, download] },
    { ...workers, title: "Workers: idle", steps: [idle(1000)], once: true },
    { name: "start", title: "Start", ...own, steps: [start] },
    {
      name: "idle",
      title: "Memory and descriptors",
      ...toReference,
      steps: [idle()],
      once: true,
    },
  ];
  return plan.filter(({ name, subjects }) => subjects.length > 0 && choice.section(name));
}
