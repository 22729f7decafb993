/** Helpers of the claims about monitor and workers: find the processes, read their state in /proc, and
 *  run a load of clients that continues while the server restarts or fails. */

import { assert, assertStrictEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import type { Pair } from "./certificates.ts";
import { Guest } from "./admission.ts";
import {
  claim,
  type ClaimOptions,
  found,
  LIMIT,
  needsRoot,
  ROOT,
  type Server,
  settled,
  type Trial,
  WITH_FFI,
  within,
} from "./harness.ts";

/** The users of these claims: different ids that no account of the machine has. */
export const WORKER = { uid: 64_001, gid: 64_002 };
export const PROGRAM = { uid: 64_003, gid: 64_004 };
/** The options for the program's user and group. */
export const AS_PROGRAM = ["-u", String(PROGRAM.uid), "-g", String(PROGRAM.gid)] as const;

/** A claim about monitor and workers, in the forms that have them. */
export function split(
  name: string,
  body: (t: Trial) => Promise<void>,
  { forms = WITH_FFI, ...rest }: ClaimOptions = {},
): void {
  claim(name, body, { forms, ...rest });
}

/** Like `split`, for a claim that needs root. */
export function asRoot(
  name: string,
  body: (t: Trial) => Promise<void>,
  options: ClaimOptions = {},
): void {
  split(name, body, { ...options, skip: options.skip || needsRoot });
}

/** An empty folder for SSL_CHROOT, without write permission. */
export function emptyFolder(t: Trial): string {
  const path = join(t.dir, "jail");
  fs.mkdirSync(path, { mode: 0o555 });
  return path;
}

/** The environment variables for the worker's user and root folder. */
export const jailed = (t: Trial): Record<string, string> => ({
  SSL_UID: String(WORKER.uid),
  SSL_GID: String(WORKER.gid),
  SSL_CHROOT: emptyFolder(t),
});

/** Makes a key readable by root only. */
export function locked(pair: Pair): Pair {
  fs.chmodSync(pair.key, 0o400);
  return pair;
}

/** Waits until there are `count` workers. Returns their pids. */
export async function workersOf(server: Server, count = 1, limit = LIMIT): Promise<number[]> {
  const workers = await settled(() => server.workers(), ({ length }) => length === count, limit);
  assertStrictEquals(workers.length, count, `workers: ${workers}`);
  return workers;
}

export async function workerOf(server: Server): Promise<number> {
  return (await workersOf(server))[0] ?? 0;
}

/** The pid of the only program, once it runs `name`. Another program may exec it. */
export async function programOf(server: Server, name = "cat"): Promise<number> {
  const is = (pid: number): boolean => words(pid, "cmdline")[0] === name;
  const found = await settled(() => server.children().filter(is), ({ length }) => length === 1);
  assertStrictEquals(found.length, 1, `programs: ${found}`);
  return found[0] ?? 0;
}

/** Lines of /proc/PID/status by name, without the tab after it. */
export function statusOf(pid: number | string): Map<string, string> {
  const text = fs.readFileSync(`/proc/${pid}/status`, "latin1");
  return new Map(
    text.split("\n").map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
  );
}

/** The strings in /proc/PID/cmdline or environ. */
export function words(pid: number, file: "cmdline" | "environ"): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, "latin1").split("\0").filter((s) => s !== "");
  } catch {
    return [];
  }
}

/** The open descriptors of a process: number and target. */
export function descriptorsOf(pid: number): Map<number, string> {
  const folder = `/proc/${pid}/fd`;
  const found = fs.readdirSync(folder).flatMap((fd): [number, string][] => {
    try {
      return [[Number(fd), fs.readlinkSync(join(folder, fd))]];
    } catch {
      return []; // closed since readdir
    }
  });
  return new Map(found.sort(([a], [b]) => a - b));
}

/** The soft limit of a process's core files. */
export function coreLimitOf(pid: number): string {
  const text = fs.readFileSync(`/proc/${pid}/limits`, "latin1");
  return /^Max core file size\s+(\S+)\s+(\S+)/m.exec(text)?.slice(1).join(" ") ?? "";
}

/** True for a process that has ended and is not reaped yet. */
export function isZombie(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

/** Children of a process, zombies included. */
export function childrenOf(pid: number): number[] {
  const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  return text.split(" ").filter((one) => one !== "").map(Number);
}

/** The worker that has the server's end of a connection, by the ports of both. */
export function servedBy(
  workers: readonly number[],
  clientPort: number,
  serverPort: number,
): number | undefined {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const line = fs.readFileSync("/proc/net/tcp", "latin1").split("\n").map((one) =>
    one.trim().split(/\s+/)
  ).find((fields) => fields[1]?.endsWith(hex(serverPort)) && fields[2]?.endsWith(hex(clientPort)));
  const inode = line?.[9];
  return workers.find((pid) => [...descriptorsOf(pid).values()].includes(`socket:[${inode}]`));
}

export const alive = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
};

/** Waits until a process has ended. Returns how long that took, in milliseconds. */
export async function gone(pid: number, limit = LIMIT): Promise<number> {
  const start = performance.now();
  assert(!(await settled(() => alive(pid), (it) => !it, limit)), `${pid} is still there`);
  return performance.now() - start;
}

/** A client whose program runs, and that stays connected. */
export async function guest(server: Server | number, from = "127.0.0.1"): Promise<Guest> {
  const one = new Guest(typeof server === "number" ? server : server.port, from);
  await one.heard();
  return one;
}

/** The subject of the certificate that a new connection gets. */
export async function subject(t: Trial, server: Server): Promise<string> {
  const where = ["-connect", `127.0.0.1:${server.port}`, "-noservername"];
  const outcome = await t.run("openssl", ["s_client", ...where]);
  return /^subject=CN = (.*)$/m.exec(new TextDecoder().decode(outcome.stdout))?.[1] ?? "";
}

/** Waits until new connections get the certificate of `name`. Returns how long that took, in
 *  milliseconds. */
export async function serves(t: Trial, server: Server, name: string): Promise<number> {
  const start = performance.now();
  const seen = await settled(() => subject(t, server), (it) => it === name);
  assertStrictEquals(seen, name);
  return performance.now() - start;
}

/** The path of a compiled C file of this folder. Compiled again when the source changes. */
export function compiled(name: "load" | "privsep"): Promise<string> {
  return made[name] ??= compile(name);
}

const made: Partial<Record<"load" | "privsep", Promise<string>>> = {};

async function compile(name: "load" | "privsep"): Promise<string> {
  const source = join(dirname(fromFileUrl(import.meta.url)), `${name}.c`);
  const folder = join(ROOT, "dist/.e2e");
  const built = join(folder, name);
  if (fs.existsSync(built) && fs.statSync(built).mtimeMs > fs.statSync(source).mtimeMs) {
    return built;
  }
  fs.mkdirSync(folder, { recursive: true });
  const scratch = `${built}.${process.pid}`;
  const libraries = name === "load" ? ["-lssl", "-lcrypto", "-lpthread"] : [];
  const compiler = spawn(found("gcc"), ["-O2", "-o", scratch, source, ...libraries], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const status = await new Promise<number | null>((resolve) => compiler.once("exit", resolve));
  assertStrictEquals(status, 0, `unable to compile ${name}.c (Debian: gcc libc6-dev libssl-dev)`);
  fs.renameSync(scratch, built);
  return built;
}

/** The numbers of connections of a load by how they ended; see load.c. */
export interface Counts {
  ok: number;
  refused: number;
  denied: number;
  cut: number;
  /** The longest complete connection, in milliseconds. */
  slowest: number;
}

/** Clients that connect at `rate` per second until `end`. */
export class Load {
  /** Descriptions of the first ten connections that were cut. */
  trouble = "";
  #text = "";
  #wake = (): void => {};

  private constructor(readonly child: ChildProcess) {
    child.stdout?.on("data", (bytes: Uint8Array) => {
      this.#text += new TextDecoder().decode(bytes);
      this.#wake();
    });
    child.stderr?.on("data", (bytes: Uint8Array) => {
      this.trouble += new TextDecoder().decode(bytes);
    });
  }

  /** `greeted`: the program sends a line first. */
  static async start(
    t: Trial,
    port: number,
    { rate = 200, atOnce = 64, hold = 0, addresses = 0, greeted = false } = {},
  ): Promise<Load> {
    const args = [port, rate, atOnce, hold, addresses].map(String);
    return new Load(t.spawn(await compiled("load"), args, greeted ? { GREETED: "1" } : {}));
  }

  /** The counts so far. */
  counts(): Promise<Counts> {
    this.child.stdin?.write("count\n");
    return this.#line();
  }

  /** Waits until `more` further clients have been served. */
  async served(more: number): Promise<Counts> {
    const { ok } = await this.counts();
    const now = await settled(() => this.counts(), (counts) => counts.ok >= ok + more);
    assert(now.ok >= ok + more, `of ${more} more ${now.ok - ok} were served: ${this.trouble}`);
    return now;
  }

  /** Starts no more clients. Returns the final counts. */
  async end(): Promise<Counts> {
    this.child.stdin?.end();
    return await this.#line();
  }

  async #line(): Promise<Counts> {
    const line = async (): Promise<string> => {
      while (!this.#text.includes("\n")) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      const at = this.#text.indexOf("\n") + 1;
      const first = this.#text.slice(0, at);
      this.#text = this.#text.slice(at);
      return first;
    };
    const text = await within(line(), LIMIT + 5000, "the load gave no count");
    const counts = Object.fromEntries(
      [...text.matchAll(/(\w+)=(\d+)/g)].map(([, name, n]) => [name, Number(n)]),
    );
    return counts as unknown as Counts;
  }
}
