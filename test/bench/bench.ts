/** `deno task bench`: compares our server with others that run a program per TLS connection. The servers
 *  take turns, in rounds, so that other load of the machine affects all of them. The result is the ratio
 *  to the reference server (ref_epoll.c) in the same round. Asserts nothing. See README.md in this folder. */

import { join } from "@std/path";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { cpus, release, totalmem } from "node:os";
import process from "node:process";
import { commandLine } from "../../tools/command_line.ts";
import { ROOT } from "../e2e/harness.ts";
import { attempt } from "./measure.ts";
import { peers } from "./peers.ts";
import { plots } from "./plots.ts";
import { prepare, type Tools } from "./prepare.ts";
import { stopAll } from "./process.ts";
import { Results } from "./results.ts";
import { type Section, sections } from "./sections.ts";
import { earlier, ours, references, type Subject } from "./servers.ts";
import { table } from "./table.ts";

const OPTIONS = commandLine("deno task bench [OPTION…]", {
  only: { value: "SECTIONS", help: "measure these sections: conn,bytes" },
  servers: { value: "NAMES", help: "measure these servers: ref-epoll,ours" },
  variants: { value: "NAMES", help: "measure these variants of ours: -v,--workers 0" },
  bin: { value: "FILE", help: "the compiled file to measure as ours; without it one is built" },
  base: { value: "FILE", help: "the compiled file of an earlier tree, measured as base" },
  rounds: { value: "N", help: "rounds", fallback: 3 },
  "peer-rounds": { value: "N", help: "rounds and turns of other projects' servers", fallback: 2 },
  turns: { value: "N", help: "turns of conn and handlers; from 10 on with quartiles", fallback: 5 },
  interval: { value: "MS", help: "milliseconds between connections of rare", fallback: 1000 },
  seconds: { value: "N", help: "seconds after which no measurement begins", fallback: 1800 },
  out: { value: "FILE", help: "write the tables to this file too" },
  plots: { value: "FOLDER", help: "write the plots to this folder" },
});

/** What a list of names with commas selects: everything if it is not given. */
const selects = (list: string | undefined, name: string): boolean =>
  list?.split(",").includes(name) ?? true;

async function main(): Promise<void> {
  const tools = prepare(OPTIONS.bin);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => finish(tools).then(() => process.exit(130)));
  }
  try {
    const others = peers(tools);
    const subjects = [
      ...references(tools),
      ours(tools, "ours", "binary"),
      ours(tools, "deno", "deno"),
      ...others.subjects,
    ];
    if (OPTIONS.base) subjects.unshift(earlier(ours(tools, "ours", "binary"), OPTIONS.base));
    const chosen = subjects.filter(({ name }) => selects(OPTIONS.servers, name));
    const plan = sections(tools, chosen, {
      turns: OPTIONS.turns,
      peerTurns: OPTIONS["peer-rounds"],
      interval: OPTIONS.interval,
      section: (name) => selects(OPTIONS.only, name),
      variant: (name) => selects(OPTIONS.variants, name),
    });
    if (plan.length === 0) throw new Error("nothing to measure by these names");
    const results = new Results(plan);
    const rounds = await measureAll(tools, results);
    const text = report(results, chosen, rounds, others.missing);
    process.stdout.write(text);
    if (OPTIONS.out) fs.writeFileSync(OPTIONS.out, text);
    if (OPTIONS.plots) {
      fs.mkdirSync(OPTIONS.plots, { recursive: true });
      for (const [name, svg] of plots(results)) fs.writeFileSync(join(OPTIONS.plots, name), svg);
    }
  } finally {
    await finish(tools);
  }
}

/** Runs the measurements that are made once or together, then as many rounds as there is time for. Returns
 *  the number of rounds. */
async function measureAll(tools: Tools, results: Results): Promise<number> {
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const say = (text: string): void => {
    process.stderr.write(`${seconds().toFixed(0).padStart(4)} s  ${text}\n`);
  };
  const round = async (section: Section, number: number): Promise<void> => {
    const order = turned(section.subjects, number)
      .filter(({ peer }) => !peer || number <= OPTIONS["peer-rounds"]);
    const passes = order.map((subject) => results.next(tools, section, subject));
    for (const measure of section.steps ?? []) {
      for (const pass of passes) {
        if (seconds() > OPTIONS.seconds) pass.note("left out, time was up");
        else {
          say(`round ${number}, ${section.title}, ${pass.subject.name}`);
          await attempt(pass, () => measure(pass));
        }
      }
    }
  };
  for (const section of results.plan) {
    if (section.once) await round(section, 0);
    if (!section.together) continue;
    say(`${section.title}, all in turns`);
    await section.together(section.subjects, (subject) => results.next(tools, section, subject));
  }
  let rounds = 0;
  let longest = 0;
  while (rounds < OPTIONS.rounds && seconds() + longest < OPTIONS.seconds) {
    rounds++;
    const roundBegun = seconds();
    for (const section of results.plan) if (!section.once) await round(section, rounds);
    longest = Math.max(longest, seconds() - roundBegun);
  }
  return rounds;
}

/** The items rotated by `by`, so that each round begins with another server. */
function turned<T>(all: readonly T[], by: number): T[] {
  const at = by % all.length;
  return [...all.slice(at), ...all.slice(0, at)];
}

function report(
  results: Results,
  subjects: readonly Subject[],
  rounds: number,
  missing: readonly string[],
): string {
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
    `Medians of ${rounds} rounds, or of ${OPTIONS.turns} turns for connections and handlers; servers of other ` +
    `projects have ${
      OPTIONS["peer-rounds"]
    }. In brackets the median of the ratios to the server of the first ` +
    "column in the same round. What the figures mean: [README.md](README.md).\n",
    ...subjects.map(({ name, version }) => `- ${name}: ${version}`),
    ...(missing.length > 0 ? [`- not installed: ${missing.join("; ")}`] : []),
    "",
    ...results.plan.map((section) => {
      const marks = (name: string): string => results.marks(section, name);
      return `## ${section.title}\n\n${table(results.rounds(section), section.reference, marks)}`;
    }),
    ...results.footnotes(),
  ];
  return lines.join("\n");
}

async function finish(tools: Tools): Promise<void> {
  await stopAll();
  fs.rmSync(tools.scratch, { recursive: true, force: true });
}

await main();
