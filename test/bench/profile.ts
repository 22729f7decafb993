/** `deno task bench:profile`: the cost of a connection in our compiled server, by part. Four views:
 *
 *    stages    the server's own histograms (--metrics), without a tool that slows it down
 *    CPU       of the server's threads, and of the programs
 *    calls     system calls per connection, traced with strace: exact in number, not in time
 *    samples   CPU by function, with perf if it is installed
 *
 *  Asserts nothing. --help lists the options. */

import { join } from "@std/path";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { request } from "node:http";
import process from "node:process";
import { commandLine } from "../../tools/command_line.ts";
import { settled } from "../e2e/harness.ts";
import { load } from "./client.ts";
import { prepare, type Tools } from "./prepare.ts";
import { Running, stopAll, threadTimes } from "./process.ts";
import { ours } from "./servers.ts";
import { format, markdown } from "./table.ts";

const CAT = "/bin/cat";
const {
  connections: N,
  "at-once": AT_ONCE,
  bin,
  out,
} = commandLine("deno task bench:profile [OPTION…]", {
  connections: { value: "N", help: "connections of each view", fallback: 1000 },
  "at-once": { value: "N", help: "connections at the same time", fallback: 16 },
  bin: { value: "FILE", help: "the compiled file to measure; without it one is built" },
  out: { value: "FILE", help: "write the views to this file too" },
});
/** Fewer connections, because everything takes ten times as long under strace. */
const TRACED = Math.min(N, 200);

type View = (tools: Tools, server: Running) => Promise<string>;

async function main(): Promise<void> {
  const tools = prepare(bin);
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
        await run(tools, running, N); // fills caches and compiles code first
        parts.push(await view(tools, running));
      } finally {
        await running.stop();
      }
    }
    process.stdout.write(parts.join("\n"));
    if (out !== undefined) fs.writeFileSync(out, parts.join("\n"));
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

/** The mean of each stage in milliseconds. The rest of a connection is the wait until the program starts,
 *  the relay, and the end of program and client. */
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

/** The server's processes: the one that was started and its workers. */
function roles(server: Running): { pid: number; role: string }[] {
  const pids = server.processes(CAT).filter((pid) => pid !== server.pid);
  if (pids.length === 0) return [{ pid: server.pid, role: "server" }];
  const workers = pids.map((pid, i) => ({ pid, role: pids.length > 1 ? `worker ${i}` : "worker" }));
  return [{ pid: server.pid, role: "monitor" }, ...workers];
}

/** CPU microseconds per connection, by thread name. */
const times: View = async (tools, server) => {
  const total = 4 * N; // the clock of these figures has ticks of 10 ms
  const processes = roles(server);
  const read = () => processes.map(({ pid }) => threadTimes(pid));
  const before = { all: server.cpu(), threads: read() };
  await run(tools, server, total);
  const now = { all: server.cpu(), threads: read() };
  const each = (seconds: number): number => seconds * 1e6 / total;
  let own = 0;
  const rows = processes.flatMap(({ role }, i) => {
    const names = new Set(now.threads[i]?.map(({ name }) => name));
    return [...names].map((name) => {
      const [user, system] = (["user", "system"] as const).map((kind) => {
        const all = (threads: ReturnType<typeof threadTimes> = []): number =>
          threads.reduce((sum, one) => sum + (one.name === name ? one[kind] : 0), 0);
        return each(all(now.threads[i]) - all(before.threads[i]));
      }) as [number, number];
      own += user + system;
      return [role, name, format(user), format(system)];
    });
  }).filter(([, , user, system]) => Number(user) + Number(system) >= 1);
  const all = each(now.all - before.all);
  return `## CPU, µs per connection\n\n${markdown(["process", "thread", "user", "system"], rows)}
Server ${format(own)}, programs and starting them ${format(all - own)}, together ${format(all)}.\n`;
};

/** System calls per connection: of each process, of a child before its execve, and of the program. */
const calls: View = async (tools, server) => {
  const file = join(tools.scratch, "trace");
  const processes = roles(server);
  const attach = processes.flatMap(({ pid }) => ["-p", String(pid)]);
  const strace = spawn("strace", ["-f", "-qq", "-o", file, ...attach], { stdio: "ignore" });
  const missing = new Promise<boolean>((resolve) => {
    strace.once("error", () => resolve(true));
    strace.once("spawn", () => resolve(false));
  });
  if (await missing) return "## System calls\n\nNot traced: Debian's strace is missing.\n";
  const own = new Map(processes.flatMap(({ pid }, i) => threads(pid).map((tid) => [tid, i])));
  await settled(() => processes.every(({ pid }) => threads(pid).every(isTraced)), Boolean);
  await run(tools, server, TRACED);
  await stopped(strace, "SIGINT");
  const counts = count(fs.readFileSync(file, "latin1"), own, processes.length);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const cells = (each: readonly number[]): string[] =>
    each.map((n) => n === 0 ? "" : (n / TRACED).toFixed(1));
  const rows = [...counts].sort(([, a], [, b]) => sum(b) - sum(a))
    .filter(([, each]) => sum(each) / TRACED >= 0.1)
    .map(([name, each]) => [name, ...cells(each)]);
  const sums = [...counts.values()].reduce((a, b) => a.map((n, i) => n + (b[i] ?? 0)));
  const head = ["call", ...processes.map(({ role }) => role), "child before exec", "program"];
  return `## System calls per connection\n\n${markdown(head, [...rows, ["all", ...cells(sums)]])}`;
};

function threads(pid: number): string[] {
  return fs.readdirSync(`/proc/${pid}/task`);
}

function isTraced(tid: string): boolean {
  return !/^TracerPid:\s+0$/m.test(fs.readFileSync(`/proc/${tid}/status`, "latin1"));
}

/** Counts the lines on which a call begins, by name: in the server's processes, in children before their
 *  execve, and in programs after it. A task that never calls execve is a new thread, and counts for the
 *  first process. `own`: the server's threads, with the index of their process. */
function count(
  trace: string,
  own: ReadonlyMap<string, number>,
  processes: number,
): Map<string, number[]> {
  const lines = [...trace.matchAll(/^(\d+) +(\w+)\(/gm)];
  const children = new Set(lines.filter(([, , call]) => call === "execve").map(([, pid]) => pid));
  const programs = new Set<string>();
  const counts = new Map<string, number[]>();
  for (const [, pid = "", call = ""] of lines) {
    const child = programs.has(pid) ? processes + 1 : processes;
    const column = own.get(pid) ?? (children.has(pid) ? child : 0);
    if (call === "execve") programs.add(pid);
    const each = counts.get(call) ?? new Array<number>(processes + 2).fill(0);
    each[column] = (each[column] ?? 0) + 1;
    counts.set(call, each);
  }
  return counts;
}

/** The functions that use the server's CPU time, kernel included. */
const samples: View = async (tools, server) => {
  const file = join(tools.scratch, "perf");
  const pids = roles(server).map(({ pid }) => pid).join(",");
  const args = ["record", "-q", "-i", "-e", "cpu-clock", "-F", "999", "-o", file, "-p", pids];
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
    return stdout.split("\n").map((line) => line.replace(/[\s-]+$/, "").trim()).filter(Boolean)
      .join("\n");
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
