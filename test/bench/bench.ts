/** `deno task bench`: compares our server with others that run a program per TLS connection. The servers
 *  take turns, in rounds, so that other load of the machine affects all of them. The result is the ratio
 *  to the reference server (ref_epoll.c) in the same round. Asserts nothing. See README.md in this folder. */

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { cpus, release, totalmem } from "node:os";
import process from "node:process";
import { commandLine } from "../../tools/command_line.ts";
import { ROOT } from "../e2e/harness.ts";
import {
  besideIdle,
  besideStalled,
  connections,
  connectionsInTurns,
  type Figures,
  idle,
  type JointMeasurement,
  type Measurement,
  startTime,
  throughput,
} from "./measure.ts";
import { prepare, type Tools } from "./prepare.ts";
import { stopAll } from "./process.ts";
import { servers, type Subject, variants } from "./servers.ts";
import { type Rounds, table } from "./table.ts";

interface Section {
  name: string;
  title: string;
  subjects: Subject[];
  /** The subject to which the ratios refer. */
  reference: string;
  /** Measures each server separately. `together` measures all at the same time, once. */
  measure?: Measurement;
  together?: JointMeasurement;
  /** Measured once, not in each round, because other load of the machine hardly affects it. */
  once?: boolean;
}

const OPTIONS = commandLine("deno task bench [OPTION…]", {
  only: { value: "SECTIONS", help: "measure these sections: conn,latency" },
  servers: { value: "NAMES", help: "measure these servers: ref-epoll,ours" },
  variants: { value: "NAMES", help: "measure these variants of ours: -v,--workers 0" },
  bin: { value: "FILE", help: "the compiled file to measure as ours; without it one is built" },
  base: { value: "FILE", help: "the compiled file of an earlier tree, measured as base" },
  rounds: { value: "N", help: "rounds", fallback: 3 },
  turns: { value: "N", help: "turns of conn; from 10 on with quartiles", fallback: 7 },
  seconds: { value: "N", help: "seconds after which no measurement begins", fallback: 900 },
  out: { value: "FILE", help: "write the tables to this file too" },
});

const LOW = { atOnce: 1, total: 300, seconds: 1.5 };
const MIDDLE = { atOnce: 16, total: 1000, seconds: 2 };
const HIGH = { atOnce: 64, total: 2000, seconds: 3 };

/** What a list of names with commas selects: everything if it is not given. */
const selects = (list: string | undefined, name: string): boolean =>
  list?.split(",").includes(name) ?? true;

function sections(tools: Tools, all: Subject[]): Section[] {
  const reference = all[0]?.name ?? "";
  const toReference = { subjects: all, reference };
  const many = { ...toReference, subjects: all.filter((subject) => subject.many) };
  const printing = { ...toReference, subjects: all.filter((subject) => subject.printsPort) };
  const chosen = (variant: string): boolean => selects(OPTIONS.variants, variant);
  const ofOurs = (name: string) => ({
    name,
    subjects: variants(tools, name, chosen),
    reference: "ours",
  });
  const log = ofOurs("log");
  const rules = ofOurs("rules");
  const workers = ofOurs("workers");
  const loads = [LOW, MIDDLE, HIGH];
  const one = connections([HIGH]);
  const plan: Section[] = [
    {
      name: "conn",
      title: "Connections",
      ...toReference,
      together: connectionsInTurns(loads, OPTIONS.turns),
    },
    { name: "latency", title: "Beside stalled handshakes", ...toReference, measure: besideStalled },
    { name: "echo", title: "Throughput", ...toReference, measure: throughput },
    { name: "held", title: "Beside idle connections", ...many, measure: besideIdle },
    { ...log, title: "With a log", measure: one },
    { ...rules, title: "With rules", measure: one },
    { ...workers, title: "Workers: connections", measure: connections(loads) },
    { ...workers, title: "Workers: beside stalled handshakes", measure: besideStalled },
    { ...workers, title: "Workers: throughput", measure: throughput },
    { ...workers, title: "Workers: idle", measure: idle(1000), once: true },
    { name: "start", title: "Start, warm", ...printing, measure: startTime, once: true },
    { name: "idle", title: "Memory and descriptors", ...toReference, measure: idle(), once: true },
  ];
  return plan.filter(({ name, subjects }) => subjects.length > 0 && selects(OPTIONS.only, name));
}

async function main(): Promise<void> {
  const tools = prepare(OPTIONS.bin);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => finish(tools).then(() => process.exit(130)));
  }
  try {
    const { subjects, missing } = servers(tools, OPTIONS.base);
    const chosen = subjects.filter(({ name }) => selects(OPTIONS.servers, name));
    const results = new Results(sections(tools, chosen));
    if (results.plan.length === 0) throw new Error("nothing to measure by these names");
    if (missing.length > 0) results.notes.add(`Not installed: ${missing.join("; ")}.`);
    const rounds = await measureAll(tools, results);
    const text = report(results, chosen, rounds);
    process.stdout.write(text);
    if (OPTIONS.out) fs.writeFileSync(OPTIONS.out, text);
  } finally {
    await finish(tools);
  }
}

/** The figures by section, and notes about failures. */
class Results {
  readonly tables: Map<Section, Rounds>;
  readonly notes = new Set<string>();

  constructor(readonly plan: readonly Section[]) {
    // Columns are in the order of the subjects, which is not the order of measuring.
    this.tables = new Map(plan.map((section) => [
      section,
      new Map(section.subjects.map(({ name }) => [name, []])),
    ]));
  }

  record(section: Section, subject: Subject, figures: Figures): void {
    this.tables.get(section)?.get(subject.name)?.push(figures);
  }
}

/** Runs the measurements that are made once or together, then as many rounds as there is time for. Returns
 *  the number of rounds. */
async function measureAll(tools: Tools, results: Results): Promise<number> {
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const pass = async (section: Section, round: number): Promise<void> => {
    const { measure } = section;
    if (!measure) return;
    for (const subject of turned(section.subjects, round)) {
      const note = (text: string): void => {
        results.notes.add(`${section.name}, ${subject.name}: ${text}`);
      };
      let figures: Figures = {};
      if (seconds() > OPTIONS.seconds) note("left out, time was up");
      else {
        const now = seconds().toFixed(0).padStart(4);
        process.stderr.write(`${now} s  round ${round}, ${section.title}, ${subject.name}\n`);
        figures = await measure(tools, subject, note).catch((error) => {
          note(error instanceof Error ? error.message : String(error));
          return {};
        });
      }
      results.record(section, subject, figures);
    }
  };
  for (const section of results.plan) {
    if (section.once) await pass(section, 0);
    if (!section.together) continue;
    process.stderr.write(`${seconds().toFixed(0).padStart(4)} s  ${section.title}, all in turns\n`);
    const note = (text: string): void => void results.notes.add(`${section.name}: ${text}`);
    await section.together(tools, section.subjects, note, (subject, figures) => {
      results.record(section, subject, figures);
    }).catch((error) => note(error instanceof Error ? error.message : String(error)));
  }
  let rounds = 0;
  let longest = 0;
  while (rounds < OPTIONS.rounds && seconds() + longest < OPTIONS.seconds) {
    rounds++;
    const roundBegun = seconds();
    for (const section of results.plan) if (!section.once) await pass(section, rounds);
    longest = Math.max(longest, seconds() - roundBegun);
  }
  if (rounds < OPTIONS.rounds) {
    results.notes.add(`There was time for ${rounds} of ${OPTIONS.rounds} rounds.`);
  }
  return rounds;
}

/** The items rotated by `by`, so that each round begins with another server. */
function turned<T>(all: readonly T[], by: number): T[] {
  const at = by % all.length;
  return [...all.slice(at), ...all.slice(0, at)];
}

function report({ plan, tables, notes }: Results, subjects: Subject[], rounds: number): string {
  const cpu = cpus();
  const gigabytes = (totalmem() / 1e9).toFixed(0);
  const describe = ["describe", "--always", "--dirty"];
  const commit = spawnSync("git", describe, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const lines = [
    "# Results\n",
    `Made by \`deno task bench\`, ${new Date().toISOString().slice(0, 10)}, at ${
      commit || "no commit"
    }: ` +
    `${cpu.length} × ${cpu[0]?.model ?? "CPU"}, ${gigabytes} GB, Linux ${release()}. ` +
    `Medians of ${rounds} rounds, in the first table of ${OPTIONS.turns} turns; in brackets the median of the ` +
    "ratios to the server of the first column in the same round. What the figures mean: [README.md](README.md).\n",
    ...subjects.map(({ name, version }) => `- ${name}: ${version}`),
    "",
    ...plan.map((section) =>
      `## ${section.title}\n\n${table(tables.get(section) as Rounds, section.reference)}`
    ),
    ...(notes.size > 0 ? ["## Notes\n", ...[...notes].map((note) => `- ${note}`), ""] : []),
  ];
  return lines.join("\n");
}

async function finish(tools: Tools): Promise<void> {
  await stopAll();
  fs.rmSync(tools.scratch, { recursive: true, force: true });
}

await main();
