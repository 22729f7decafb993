/** `deno task bench:profile`: what a connection costs our compiled server, and where. Four views:
 *
 *    stages    the server's own histograms (--metrics), without a tool that slows it down
 *    CPU       of the server's threads, and of the programs
 *    calls     system calls per connection, traced with strace: right in number, not in time
 *    samples   where the CPU is, with perf where it is installed
 *
 *  Asserts nothing. PROFILE_N connections (1000), PROFILE_C at once (16), BENCH_OUT a file to write. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { settled } from "../e2e/harness.ts";
import { load } from "./client.ts";
import { prepare, type Tools } from "./prepare.ts";
import { Running, stopAll, threadTimes } from "./process.ts";
import { ours } from "./servers.ts";
import { format, markdown } from "./table.ts";

const CAT = "/bin/cat";
const N = Number(process.env["PROFILE_N"] ?? 1000);
const AT_ONCE = Number(process.env["PROFILE_C"] ?? 16);
/** Under strace everything takes ten times as long. */
const TRACED = Math.min(N, 200);

type View = (tools: Tools, server: Running) => Promise<string>;

async function main(): Promise<void> {
  const tools = prepare();
  const end = async (): Promise<void> => {
    await stopAll();
    fs.rmSync(tools.scratch, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => end().then(() => process.exit(130)));
  }
  try {
    const server = ours(tools, "ours", "binary", ["--metrics", join(tools.scratch, "metrics")]);
    const parts = [`# Profile\n\n${server.version}, ${N} connections, ${AT_ONCE} at once.\n`];
    for (const view of [stages, times, calls, samples]) {
      const running = await Running.start((port) => server.at(port, [CAT]), undefined);
      try {
        await run(tools, running, N); // compiled code and caches are there when it counts
        parts.push(await view(tools, running));
      } finally {
        await running.stop();
      }
    }
    process.stdout.write(parts.join("\n"));
    const out = process.env["BENCH_OUT"];
    if (out) fs.writeFileSync(out, parts.join("\n"));
  } finally {
    await end();
  }
}

async function run(tools: Tools, server: Running, total: number): Promise<void> {
  const members = server.members().length;
  const { failed, error } = await load(tools, "conn", server.port, { total, atOnce: AT_ONCE });
  if (failed) throw new Error(`${failed} connections failed: ${error}`);
  await server.quiet(members);
}

/** Mean milliseconds of each stage. What is left of a connection is the wait for the program to begin,
 *  the relay, and the end: the program's exit and the client's. */
const stages: View = async (tools, server) => {
  const socket = join(tools.scratch, "metrics");
  const read = async (): Promise<Map<string, number>> => {
    const text = await get(socket);
    const found = text.matchAll(/^sslserver_(\w+)_duration_seconds_(sum|count) (\S+)$/gm);
    return new Map([...found].map(([, stage, kind, value]) => [`${stage} ${kind}`, Number(value)]));
  };
  const rows: string[][] = [];
  for (const atOnce of [1, AT_ONCE]) {
    const before = await read();
    await load(tools, "conn", server.port, { total: N, atOnce });
    await settled(read, (now) => grown(before, now, "connection count") >= N);
    const now = await read();
    const mean = (stage: string): number =>
      grown(before, now, `${stage} sum`) / grown(before, now, `${stage} count`) * 1000;
    const [admission, handshake, spawning, all] = ["admission", "handshake", "spawn", "connection"]
      .map(mean) as [number, number, number, number];
    const rest = all - admission - handshake - spawning;
    rows.push([String(atOnce), ...[admission, handshake, spawning, rest, all].map(format)]);
  }
  const head = ["at once", "admission", "handshake", "spawn", "relay and end", "connection"];
  return `## Stages, mean ms\n\n${markdown(head, rows)}`;
};

function grown(before: Map<string, number>, now: Map<string, number>, name: string): number {
  return (now.get(name) ?? 0) - (before.get(name) ?? 0);
}

function get(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: "/metrics" }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => text += part).on("end", () => resolve(text));
    }).on("error", reject).end();
  });
}

/** CPU microseconds per connection, by thread name. */
const times: View = async (tools, server) => {
  const total = 4 * N; // the clock behind these figures has ticks of 10 ms
  const before = { all: server.cpu(), threads: threadTimes(server.pid) };
  await run(tools, server, total);
  const now = { all: server.cpu(), threads: threadTimes(server.pid) };
  const names = [...new Set(now.threads.map(({ name }) => name.replace(/ ?\d+$/, "")))];
  const of = (threads: typeof now.threads, name: string, kind: "user" | "system"): number =>
    threads.filter((one) => one.name.startsWith(name)).reduce((sum, one) => sum + one[kind], 0);
  const each = (seconds: number): number => seconds * 1e6 / total;
  const rows = names.map((name) => {
    const [user, system] = (["user", "system"] as const).map((kind) =>
      each(of(now.threads, name, kind) - of(before.threads, name, kind))
    ) as [number, number];
    return { name, user, system };
  }).filter(({ user, system }) => user + system >= 1);
  const own = rows.reduce((sum, { user, system }) => sum + user + system, 0);
  const all = each(now.all - before.all);
  const lines = rows.map(({ name, user, system }) => [name, format(user), format(system)]);
  return `## CPU, µs per connection\n\n${markdown(["thread", "user", "system"], lines)}
Server ${format(own)}, programs and starting them ${format(all - own)}, together ${format(all)}.\n`;
};

/** System calls per connection: of the server, of a child before it is the program, of the program. */
const calls: View = async (tools, server) => {
  const file = join(tools.scratch, "trace");
  const strace = spawn("strace", ["-f", "-qq", "-o", file, "-p", String(server.pid)], {
    stdio: "ignore",
  });
  const missing = new Promise<boolean>((resolve) => {
    strace.once("error", () => resolve(true));
    strace.once("spawn", () => resolve(false));
  });
  if (await missing) return "## System calls\n\nNot traced: Debian's strace is missing.\n";
  const own = new Set(fs.readdirSync(`/proc/${server.pid}/task`));
  await settled(() => traced(server.pid), Boolean);
  await run(tools, server, TRACED);
  await stopped(strace, "SIGINT");
  const { counts, of } = count(fs.readFileSync(file, "latin1"), own);
  const rows = [...counts].map(([name, each]) => ({
    name,
    each,
    sum: each.reduce((a, b) => a + b),
  }))
    .sort((a, b) => b.sum - a.sum)
    .filter(({ sum }) => sum / TRACED >= 0.1)
    .map(({ name, each }) => [name, ...each.map((n) => n === 0 ? "" : (n / TRACED).toFixed(1))]);
  const sums = ["all", ...of.map((n) => (n / TRACED).toFixed(1))];
  const head = ["call", "server", "child before exec", "program"];
  return `## System calls per connection\n\n${markdown(head, [...rows, sums])}`;
};

/** True when a tracer has attached to the first thread; it takes them all before it goes on. */
function traced(pid: number): boolean {
  return !/^TracerPid:\s+0$/m.test(fs.readFileSync(`/proc/${pid}/status`, "latin1"));
}

/** Counts the lines on which a call begins. A process that is not one of the server's threads is a
 *  child; from its execve on, the program. One that never calls execve is a thread made meanwhile. */
function count(trace: string, own: ReadonlySet<string>): {
  counts: Map<string, [number, number, number]>;
  of: [number, number, number];
} {
  const lines = [...trace.matchAll(/^(\d+) +(\w+)\(/gm)];
  const children = new Set(lines.filter(([, , call]) => call === "execve").map(([, pid]) => pid));
  const programs = new Set<string>();
  const counts = new Map<string, [number, number, number]>();
  const of: [number, number, number] = [0, 0, 0];
  for (const [, pid = "", call = ""] of lines) {
    const role = own.has(pid) || !children.has(pid) ? 0 : programs.has(pid) ? 2 : 1;
    if (call === "execve") programs.add(pid);
    const each = counts.get(call) ?? [0, 0, 0];
    each[role]++;
    of[role]++;
    counts.set(call, each);
  }
  return { counts, of };
}

/** The functions in which the server's CPU time goes, kernel included. */
const samples: View = async (tools, server) => {
  const file = join(tools.scratch, "perf");
  const args = [
    "record",
    "-q",
    "-e",
    "cpu-clock",
    "-F",
    "999",
    "-o",
    file,
    "-p",
    String(server.pid),
  ];
  if (spawnSync("perf", ["--version"]).status !== 0) {
    return "## Samples\n\nNone: perf (Debian's linux-perf) is missing.\n";
  }
  const perf = spawn("perf", args, { stdio: "ignore" });
  await settled(() => fs.existsSync(file) && fs.statSync(file).size > 0, Boolean, 3000);
  await run(tools, server, 4 * N);
  await stopped(perf, "SIGINT");
  const report = (sort: string, least: number): string => {
    const args = ["report", "-i", file, "--stdio", "-q", "--sort", sort, "--percent-limit"];
    const { stdout } = spawnSync("perf", [...args, String(least)], { encoding: "utf8" });
    return stdout.split("\n").map((line) => line.trim()).filter(Boolean).join("\n");
  };
  const blocks = [report("dso", 1), report("comm,dso,symbol", 0.7)];
  return `## Samples, share of the server's CPU\n\n${
    blocks.map((text) => "```\n" + text + "\n```\n").join("\n")
  }`;
};

function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill(signal);
  });
}

await main();
