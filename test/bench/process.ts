/** A server to be measured. It runs in a new process group, and in a new cgroup if cgroup 2 is writable,
 *  and is watched through /proc. At the end it is killed with all processes that it started.
 *
 *  Its parent is a shell that kills all of them when our end of a pipe is closed, so nothing is left
 *  however this program ends. */

import { join } from "@std/path";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { ROOT, settled, within } from "../e2e/harness.ts";
import { freePort } from "../free_port.ts";
import type { Command } from "./servers.ts";

/** Clock ticks per second in /proc/PID/stat (USER_HZ): 100 on every relevant Linux. */
const TICKS = 100;

/** Root can raise the hard limit; other users raise the soft limit up to it. */
const RAISE = 'ulimit -n 100000 2>/dev/null || ulimit -n "$(ulimit -Hn)"';

/** Starts a command and prints its process id. At the end of standard input, kills the command and all
 *  processes that it started. A shell starts a background command with SIGINT and SIGQUIT ignored. A service
 *  has neither ignored, and a server that resets them for its programs would have more to do. */
const GUARD = `${RAISE}
cgroup=$1
shift
set -- env --default-signal=INT,QUIT "$@"
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

  /** Resolves when the server listens. `log`: a file for its stderr, or undefined to read and drop it. */
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

  /** The server's process and all processes that descend from it. */
  members(): number[] {
    const guard = this.#guard.pid ?? 0;
    const all = this.#cgroup
      ? read(join(this.#cgroup, "cgroup.procs")).split("\n").filter(Boolean).map(Number)
      : processes().filter((pid) => stat(pid)[2] === String(guard));
    return all.filter((pid) => pid !== guard);
  }

  /** The members that belong to the server and are not programs. */
  processes(program: string): number[] {
    const file = fs.realpathSync(program);
    return this.members().filter((pid) => {
      const executable = link(`/proc/${pid}/exe`);
      return executable !== "" && executable !== file;
    });
  }

  /** CPU seconds used by all members, including those that have ended. Without a cgroup, processes are
   *  missing if their parent ignored their end. */
  cpu(): number {
    if (this.#cgroup) {
      const text = read(join(this.#cgroup, "cpu.stat"));
      return Number(/^usage_usec (\d+)/m.exec(text)?.[1] ?? 0) / 1e6;
    }
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5). stat() returns fields from the third on.
    return this.members().flatMap((pid) => stat(pid).slice(11, 15)).reduce(
      (s, t) => s + Number(t),
      0,
    ) /
      TICKS;
  }

  /** Resolves when at most `count` members are left, or after `limit` milliseconds. */
  async quiet(count: number, limit = 10_000): Promise<void> {
    await settled(() => this.members().length, (left) => left <= count, limit);
  }

  /** Ends the server and all processes that it started, at once. */
  async stop(): Promise<void> {
    this.#guard.stdin?.destroy();
    running.delete(this);
    await within(this.#ended, 20_000, "the server did not end");
  }
}

/** The environment of all servers besides their settings. */
export function serverEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    DENO_DIR: process.env["DENO_DIR"] ?? join(ROOT, "dist/.deno"),
  };
}

/** Ends every server that still runs. For any end of this program. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
}

/** The memory of these processes in KB. Pages that they share count once. */
export function pss(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    return sum + Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }, 0);
}

/** The number of open descriptors of each process. */
export function descriptors(pids: readonly number[]): number[] {
  return pids.map((pid) => {
    try {
      return fs.readdirSync(`/proc/${pid}/fd`).length;
    } catch {
      return 0; // the process has ended
    }
  });
}

/** The limit of open files of the servers. */
export function descriptorLimit(): number {
  const text = execFileSync("/bin/sh", ["-c", `${RAISE}; ulimit -n`], { encoding: "utf8" }).trim();
  return text === "unlimited" ? 1_000_000 : Number(text);
}

export interface ThreadTimes {
  name: string;
  user: number;
  system: number;
  /** How often it has waited for something, and was woken up. */
  waits: number;
}

/** User and system CPU seconds of each thread, with its name. */
export function threadTimes(pid: number): ThreadTimes[] {
  return fs.readdirSync(`/proc/${pid}/task`).map((tid) => {
    const fields = stat(pid, tid);
    return {
      name: read(`/proc/${pid}/task/${tid}/comm`).trim(),
      user: Number(fields[11]) / TICKS,
      system: Number(fields[12]) / TICKS,
      waits: Number(
        /^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${tid}/status`))?.[1] ??
          0,
      ),
    };
  });
}

/** Makes a cgroup below ours. Returns "" if no cgroup 2 is writable. */
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

/** True if a socket listens on the port, by /proc: a connection would count for the server. */
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

/** Fields of /proc/PID/stat from the third on. The second may contain spaces. */
function stat(pid: number, thread = ""): string[] {
  const text = read(`/proc/${pid}/${thread ? `task/${thread}/` : ""}stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, "latin1");
  } catch {
    return ""; // the process has ended
  }
}

function link(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}
