/** The views of the profile: what one connection costs our server, by part.
 *
 *    stages    the server's own histograms (--metrics), without a tool that slows it down
 *    CPU       and wake-ups of the server's threads, and of the programs
 *    calls     system calls of the server's processes, with perf trace
 *    samples   CPU by function, with perf */

import { join } from "@std/path";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { request } from "node:http";
import { settled } from "../e2e/harness.ts";
import { load } from "./client.ts";
import { CAT } from "./measure.ts";
import { callTable } from "./perf_trace.ts";
import type { Tools } from "./prepare.ts";
import { type Running, threadTimes } from "./process.ts";
import { format, markdown } from "./table.ts";

/** A server that is profiled, and the load: connections, and how many at once. */
export interface Profiled {
  tools: Tools;
  server: Running;
  /** The port of its metrics. */
  metrics: number;
  total: number;
  atOnce: number;
}

/** One view, as Markdown. */
export type View = (profiled: Profiled) => Promise<string>;

/** Makes connections and waits for the end of their programs. */
export async function run({ tools, server, atOnce }: Profiled, total: number): Promise<void> {
  const members = server.members().length;
  const { failed, error } = await load(tools, "conn", server.port, { total, atOnce });
  if (failed) throw new Error(`${failed} connections failed: ${error}`);
  await server.quiet(members);
}

/** The mean of each stage in milliseconds. The rest of a connection is the wait until the program starts,
 *  the relay, and the end of program and client. */
export const stages: View = async ({ tools, server, metrics, total, atOnce: most }) => {
  const read = async (): Promise<Map<string, number>> => {
    const text = await get(metrics);
    const found = text.matchAll(/^sslserver_(\w+)_duration_seconds_(sum|count) (\S+)$/gm);
    return new Map([...found].map(([, stage, kind, value]) => [`${stage} ${kind}`, Number(value)]));
  };
  const rows: string[][] = [];
  for (const atOnce of [1, most]) {
    const before = await read();
    await load(tools, "conn", server.port, { total, atOnce });
    await settled(read, (now) => grown(before, now, "connection count") >= total);
    const now = await read();
    const mean = (stage: string): number =>
      grown(before, now, `${stage} sum`) / grown(before, now, `${stage} count`) * 1000;
    const [admission, handshake, spawning, all] = ["admission", "handshake", "spawn", "connection"]
      .map(mean) as [number, number, number, number];
    const rest = all - admission - handshake - spawning;
    rows.push([String(atOnce), ...[admission, handshake, spawning, rest, all].map(format)]);
  }
  const head = ["at once", "admission", "handshake", "spawn", "relay and end", "connection"];
  return `### Stages, mean ms\n\n${markdown(head, rows)}`;
};

function grown(before: Map<string, number>, now: Map<string, number>, name: string): number {
  return (now.get(name) ?? 0) - (before.get(name) ?? 0);
}

function get(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/metrics" }, (answer) => {
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

/** CPU microseconds and wake-ups per connection, by thread name. */
export const times: View = async (profiled) => {
  const { server } = profiled;
  const total = 4 * profiled.total; // the clock of these figures has ticks of 10 ms
  const processes = roles(server);
  const read = () => processes.map(({ pid }) => threadTimes(pid));
  const before = { all: server.cpu(), threads: read() };
  await run(profiled, total);
  const now = { all: server.cpu(), threads: read() };
  let own = 0;
  const rows = processes.flatMap(({ role }, i) => {
    const names = new Set(now.threads[i]?.map(({ name }) => name));
    return [...names].map((name) => {
      const [user, system, waits] = (["user", "system", "waits"] as const).map((kind) => {
        const all = (threads: ReturnType<typeof threadTimes> = []): number =>
          threads.reduce((sum, one) => sum + (one.name === name ? one[kind] : 0), 0);
        return (all(now.threads[i]) - all(before.threads[i])) / total;
      }) as [number, number, number];
      own += user + system;
      return [role, name, format(user * 1e6), format(system * 1e6), format(waits)];
    });
  }).filter(([, , user, system]) => Number(user) + Number(system) >= 1);
  const all = (now.all - before.all) / total;
  const head = ["process", "thread", "user", "system", "wake-ups"];
  return `### CPU, µs per connection\n\n${markdown(head, rows)}
Server ${format(own * 1e6)}, programs and starting them ${format((all - own) * 1e6)}, together ${
    format(all * 1e6)
  }.\n`;
};

const MISSING = "None: perf (Debian's linux-perf) is missing.\n";
const hasPerf = (): boolean => spawnSync("perf", ["--version"]).status === 0;

/** System calls per connection, with the time in them. */
export const calls: View = async (profiled) => {
  const { tools, server, total } = profiled;
  const title = "### System calls per connection\n\n";
  if (!hasPerf()) return title + MISSING;
  const file = join(tools.scratch, "trace");
  const processes = roles(server);
  const own = new Map(processes.flatMap(({ pid, role }) => threads(pid).map((id) => [id, role])));
  const args = ["trace", "-m", "4096", "-o", file, "-p", processes.map(({ pid }) => pid).join(",")];
  const perf = spawn("perf", args, { stdio: "ignore" });
  await settled(() => fs.existsSync(file), Boolean, 5000);
  // perf creates the file before it traces. What is not traced would be missing in the figures.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await run(profiled, total);
  await stopped(perf, "SIGINT");
  const text = fs.readFileSync(file, "latin1");
  return title + callTable(text, own, [...new Set(own.values())], total);
};

function threads(pid: number): number[] {
  return fs.readdirSync(`/proc/${pid}/task`).map(Number);
}

/** The functions that use the server's CPU time, kernel included. */
export const samples: View = async (profiled) => {
  const { tools, server, total } = profiled;
  const title = "### Samples, share of the server's CPU\n\n";
  if (!hasPerf()) return title + MISSING;
  const file = join(tools.scratch, "perf");
  const pids = roles(server).map(({ pid }) => pid).join(",");
  const args = ["record", "-q", "-i", "-e", "cpu-clock", "-F", "999", "-o", file, "-p", pids];
  const perf = spawn("perf", args, { stdio: "ignore" });
  await settled(() => fs.existsSync(file) && fs.statSync(file).size > 0, Boolean, 3000);
  await run(profiled, 4 * total);
  await stopped(perf, "SIGINT");
  const report = (sort: string, least: number): string => {
    const args = ["report", "-i", file, "--stdio", "-q", "--sort", sort, "--percent-limit"];
    const { stdout } = spawnSync("perf", [...args, String(least)], { encoding: "utf8" });
    return stdout.split("\n").map((line) => line.replace(/[\s-]+$/, "").trim()).filter(Boolean)
      .join("\n");
  };
  const blocks = [report("dso", 1), report("comm,dso,symbol", 1)];
  return title + blocks.map((text) => "```\n" + text + "\n```\n").join("\n");
};

function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill(signal);
  });
}
