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
import { attempt, type Pass, turned } from "./measure.ts";
import { peers } from "./peers.ts";
import { plots } from "./plots.ts";
import { prepare, type Tools } from "./prepare.ts";
import { stopAll } from "./process.ts";
import { counted, type Measured, next, Results, roundsOf } from "./results.ts";
import { type Section, sections } from "./sections.ts";
import { earlier, ours, references, type Subject } from "./servers.ts";
import { table } from "./table.ts";
import { measureWarm } from "./warm.ts";

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
  data: { value: "FILE", help: "keep the figures in this file, with those of earlier runs" },
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
      rounds: OPTIONS.rounds,
      turns: OPTIONS.turns,
      peerRounds: OPTIONS["peer-rounds"],
      interval: OPTIONS.interval,
      section: (name) => selects(OPTIONS.only, name),
      variant: (name) => selects(OPTIONS.variants, name),
    });
    if (plan.length === 0) throw new Error("nothing to measure by these names");
    const results = new Results(OPTIONS.data);
    results.about(chosen);
    await measureAll(tools, plan, results);
    const text = report(results, others.missing);
    process.stdout.write(text);
    if (OPTIONS.out) fs.writeFileSync(OPTIONS.out, text);
    if (OPTIONS.plots) {
      fs.mkdirSync(OPTIONS.plots, { recursive: true });
      for (const [name, svg] of plots(results.sections)) {
        fs.writeFileSync(join(OPTIONS.plots, name), svg);
      }
    }
  } finally {
    await finish(tools);
  }
}

/** Runs the sections that are measured once, together or warm, then as many rounds of the others as there is
 *  time for. Keeps the figures of each section when it is complete. */
async function measureAll(tools: Tools, plan: readonly Section[], results: Results): Promise<void> {
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const say = (text: string): void => {
    process.stderr.write(`${seconds().toFixed(0).padStart(4)} s  ${text}\n`);
  };
  const expired = (): boolean => seconds() > OPTIONS.seconds;
  const measured = new Map<Section, Measured>();
  const nextOf = (section: Section, subject: Subject): Pass => {
    const into = measured.get(section) ?? results.begin(section);
    measured.set(section, into);
    return next(tools, into, subject);
  };
  const done = (section: Section, unit: string): void => {
    const into = measured.get(section);
    if (!into) return;
    into.made = `${counted(into, unit)}, ${today()}, at ${commit()}`;
    results.save();
  };
  const round = async (section: Section, number: number): Promise<void> => {
    const order = turned(section.subjects, number)
      .filter(({ peer }) => !peer || number <= OPTIONS["peer-rounds"]);
    const passes = order.map((subject) => nextOf(section, subject));
    for (const measure of section.steps ?? []) {
      for (const pass of passes) {
        if (expired()) pass.note("left out, time was up");
        else {
          say(`round ${number}, ${section.title}, ${pass.subject.name}`);
          await attempt(pass, () => measure(pass));
        }
      }
    }
    done(section, "round");
  };
  const groups = new Set<string>();
  for (const section of plan) {
    if (section.once) await round(section, 0);
    if (section.together) {
      say(`${section.title}, all at the same time`);
      await section.together(section.subjects, (subject) => nextOf(section, subject));
      done(section, "round");
    }
    const group = section.warm?.group;
    if (group === undefined || groups.has(group)) continue;
    groups.add(group);
    await measureWarm(tools, plan.filter(({ warm }) => warm?.group === group), {
      say,
      next: nextOf,
      expired,
      done: (section) => done(section, "turn"),
    });
  }
  const inRounds = plan.filter(({ steps, once }) => steps && !once);
  let longest = 0;
  for (let number = 1; number <= OPTIONS.rounds && inRounds.length > 0; number++) {
    const roundBegun = seconds();
    if (number > 1 && roundBegun + longest > OPTIONS.seconds) break;
    for (const section of inRounds) await round(section, number);
    longest = Math.max(longest, seconds() - roundBegun);
  }
}

const today = (): string => new Date().toISOString().slice(0, 10);

function commit(): string {
  const describe = ["describe", "--always", "--dirty"];
  return spawnSync("git", describe, { cwd: ROOT, encoding: "utf8" }).stdout.trim() || "no commit";
}

function report(results: Results, missing: readonly string[]): string {
  const cpu = cpus();
  const gigabytes = (totalmem() / 1e9).toFixed(0);
  const absent = missing.filter((text) => !((text.split(" ")[0] ?? "") in results.versions));
  return [
    "# Results\n",
    `Made by \`deno task bench\` on ${cpu.length} × ${cpu[0]?.model ?? "CPU"}, ${gigabytes} GB, ` +
    `Linux ${release()}. Figures are medians. In brackets is the median of the ratios to the server of the ` +
    "first column in the same round or turn. What the figures mean: [README.md](README.md).\n",
    ...Object.entries(results.versions).map(([name, version]) => `- ${name}: ${version}`),
    ...(absent.length > 0 ? [`- not installed: ${absent.join("; ")}`] : []),
    "",
    ...results.sections.map((section) => {
      const marks = (name: string): string => results.marks(section, name);
      const figures = table(roundsOf(section), section.reference, marks);
      return `## ${section.title}\n\nOf ${section.made}.\n\n${figures}`;
    }),
    ...results.footnotes(),
  ].join("\n");
}

async function finish(tools: Tools): Promise<void> {
  await stopAll();
  fs.rmSync(tools.scratch, { recursive: true, force: true });
}

await main();
