/** A server that runs to be measured: started in a process group of its own, and where cgroup 2 can be
 *  written in a cgroup of its own, watched through /proc, and gone afterwards with all it started.
 *
 *  Its parent is a shell that kills all of them as soon as our end of a pipe is closed. So nothing is
 *  left behind however this program ends. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT, settled, within } from "../e2e/harness.ts";
import { freePort } from "../free_port.ts";
import type { Command } from "./servers.ts";

/** Clock ticks per second in /proc/PID/stat: 100 on every Linux that matters (USER_HZ). */
const TICKS = 100;

/** Root may raise the hard limit, others take what it allows. */
const RAISE = 'ulimit -n 100000 2>/dev/null || ulimit -n "$(ulimit -Hn)"';

/** Starts a command, prints its process id, and ends it and all it started when its own input ends. */
const GUARD = `${RAISE}
cgroup=$1
shift
if [ -n "$cgroup" ]; then
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@" </dev/null >/dev/null &
else
  "$@" </dev/null >/dev/null &
fi
echo $!
read -r _
[ -n "$cgroup" ] && echo 1 >"$cgroup/cgroup.kill" || kill -KILL 0
wait
tries=0
until rmdir "$cgroup" 2>/dev/null || [ $((tries += 1)) = 500 ]; do sleep 0.02; done`;

const running = new Set<Running>();

export class Running {
  readonly port: number;
  /** The server's own process, not the shell. */
  readonly pid: number;
  readonly #guard: ChildProcess;
  readonly #cgroup: string;
  readonly #ended: Promise<void>;

  private constructor(port: number, pid: number, guard: ChildProcess, cgroup: string) {
    this.port = port;
    this.pid = pid;
    this.#guard = guard;
    this.#cgroup = cgroup;
    this.#ended = new Promise((resolve) => guard.once("exit", () => resolve()));
    running.add(this);
  }

  /** Resolves when it listens. `log`: a file for its stderr, or undefined to read and drop it. */
  static async start(at: (port: number) => Command, log: string | undefined): Promise<Running> {
    const port = await freePort();
    const { command, env } = at(port);
    const cgroup = makeCgroup();
    const file = log === undefined ? undefined : fs.openSync(log, "w");
    const guard = spawn("/bin/sh", ["-c", GUARD, "sh", cgroup, ...command], {
      detached: true,
      env: { ...serverEnvironment(), ...env },
      stdio: ["pipe", "pipe", file ?? "pipe"],
    });
    if (file !== undefined) fs.closeSync(file);
    guard.stderr?.resume();
    const printed = new Promise<number>((resolve) => {
      guard.stdout?.once("data", (bytes: Uint8Array) => resolve(Number(String(bytes))));
    });
    const pid = await within(printed, 5000, "the shell started nothing");
    const server = new Running(port, pid, guard, cgroup);
    const state = await settled(
      () => (isListening(port) ? "listens" : isAlive(pid) ? "starts" : "ended"),
      (seen) => seen !== "starts",
      15_000,
    );
    if (state === "listens") return server;
    await server.stop();
    const words = log === undefined ? "" : fs.readFileSync(log, "utf8").slice(0, 300);
    throw new Error(`unable to start ${command[0]}: it ${state}: ${words}`);
  }

  /** Its process and everything that came from it. */
  members(): number[] {
    const guard = this.#guard.pid ?? 0;
    const all = this.#cgroup
      ? read(join(this.#cgroup, "cgroup.procs")).split("\n").filter(Boolean).map(Number)
      : processes().filter((pid) => stat(pid)[2] === String(guard));
    return all.filter((pid) => pid !== guard);
  }

  /** Members that are the server, not programs it runs. */
  processes(program: string): number[] {
    const file = fs.realpathSync(program);
    return this.members().filter((pid) => {
      const executable = link(`/proc/${pid}/exe`);
      return executable !== "" && executable !== file;
    });
  }

  /** CPU seconds used by all members, also those that have ended. Without a cgroup those are missing
   *  whose parent ignored their end. */
  cpu(): number {
    if (this.#cgroup) {
      const text = read(join(this.#cgroup, "cpu.stat"));
      return Number(/^usage_usec (\d+)/m.exec(text)?.[1] ?? 0) / 1e6;
    }
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5); stat() begins with the third.
    return this.members().flatMap((pid) => stat(pid).slice(11, 15)).reduce(
      (s, t) => s + Number(t),
      0,
    ) /
      TICKS;
  }

  /** Resolves when no more than `count` members are left, or after `limit` milliseconds. */
  async quiet(count: number, limit = 10_000): Promise<void> {
    await settled(() => this.members().length, (left) => left <= count, limit);
  }

  /** Ends it and all it started, at once. */
  async stop(): Promise<void> {
    this.#guard.stdin?.destroy();
    running.delete(this);
    await within(this.#ended, 20_000, "the server did not end");
  }
}

/** What servers find in their environment besides their settings: little, the same everywhere. */
export function serverEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    DENO_DIR: process.env["DENO_DIR"] ?? join(ROOT, "dist/.deno"),
  };
}

/** Ends every server that still runs; for the end of the program, however it comes. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
}

/** Memory that would be free without these processes, in KB: what they share counts once. */
export function pss(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    return sum + Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }, 0);
}

/** Open descriptors of each. */
export function descriptors(pids: readonly number[]): number[] {
  return pids.map((pid) => {
    try {
      return fs.readdirSync(`/proc/${pid}/fd`).length;
    } catch {
      return 0; // it has ended
    }
  });
}

/** Open files that the servers may have. */
export function descriptorLimit(): number {
  const text = execFileSync("/bin/sh", ["-c", `${RAISE}; ulimit -n`], { encoding: "utf8" }).trim();
  return text === "unlimited" ? 1_000_000 : Number(text);
}

/** User and system CPU seconds of each thread, with its name. */
export function threadTimes(pid: number): { name: string; user: number; system: number }[] {
  return fs.readdirSync(`/proc/${pid}/task`).map((tid) => {
    const fields = stat(pid, tid);
    return {
      name: read(`/proc/${pid}/task/${tid}/comm`).trim(),
      user: Number(fields[11]) / TICKS,
      system: Number(fields[12]) / TICKS,
    };
  });
}

/** A cgroup of its own below ours, or "" where there is no cgroup 2 that can be written. */
function makeCgroup(): string {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(read("/proc/self/mounts"))?.[1];
  const own = /^0::(.*)$/m.exec(read("/proc/self/cgroup"))?.[1];
  if (mount === undefined || own === undefined) return "";
  const folder = join(
    mount,
    own,
    `sslserver-bench-${process.pid}-${Math.random().toString(36).slice(2)}`,
  );
  try {
    fs.mkdirSync(folder);
    fs.accessSync(join(folder, "cgroup.procs"), fs.constants.W_OK);
    return folder;
  } catch {
    return "";
  }
}

/** Looked up, not tried: a connection would be one more for the server. */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return new RegExp(`: 0100007F:${hex} \\S+ 0A `).test(read("/proc/net/tcp"));
}

function isAlive(pid: number): boolean {
  return !["", "Z"].includes(stat(pid)[0] ?? "");
}

function processes(): number[] {
  return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Fields of /proc/PID/stat from the third on: the second may hold spaces. */
function stat(pid: number, thread = ""): string[] {
  const text = read(`/proc/${pid}/${thread ? `task/${thread}/` : ""}stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, "latin1");
  } catch {
    return ""; // it has ended
  }
}

function link(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}
