/** Runs load.c and reads its output. */

import { type ChildProcess, spawn } from "node:child_process";
import type { Tools } from "./prepare.ts";
import { within } from "../e2e/harness.ts";

/** The output of load.c. Times of a connection are in milliseconds, the rate in connections or megabytes
 *  per second. */
export interface Load {
  ok: number;
  failed: number;
  error: string;
  seconds: number;
  cpu: number;
  rate: number;
  p50: number;
  p99: number;
  max: number;
}

/** The limit in seconds of one run that loads the server, or that opens connections to hold. */
const LIMIT = 60;
/** The limit in seconds for which connections are held. */
const HOLD_LIMIT = 300;

/** Makes one run: `total` connections, or those begun within `seconds`. Throws if no connection succeeds. */
export async function load(
  tools: Tools,
  mode: "conn" | "echo" | "download",
  port: number,
  options: { total?: number; atOnce: number; bytes?: number; seconds?: number },
): Promise<Load> {
  const child = start(tools, mode, port, LIMIT, {
    n: options.total ?? options.atOnce,
    c: options.atOnce,
    b: options.bytes ?? 0,
    s: options.seconds ?? LIMIT,
  });
  const seen = await firstLine(child);
  if (seen.ok === 0) throw new Error(seen.error);
  return seen;
}

export interface Held {
  seen: Load;
  /** Closes the connections. Resolves when they are closed. */
  release(): Promise<void>;
}

/** Opens connections and keeps them open; with `stall` in the middle of their handshake. */
export async function hold(
  tools: Tools,
  mode: "hold" | "stall",
  port: number,
  total: number,
): Promise<Held> {
  const child = start(tools, mode, port, HOLD_LIMIT, { n: total });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const seen = await firstLine(child);
  return {
    seen,
    release() {
      child.stdin?.destroy();
      return within(ended, LIMIT * 1000, "the load did not end");
    },
  };
}

function start(
  tools: Tools,
  mode: string,
  port: number,
  limit: number,
  options: Record<string, number>,
): ChildProcess {
  const args = Object.entries({ p: port, T: limit, ...options }).flatMap(([letter, value]) => [
    `-${letter}`,
    String(value),
  ]);
  return spawn(tools.load, [mode, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

async function firstLine(child: ChildProcess): Promise<Load> {
  const line = new Promise<string>((resolve) => {
    let text = "";
    child.stdout?.on("data", (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      if (text.includes("\n")) resolve(text);
    });
    child.once("exit", () => setTimeout(() => resolve(text), 100));
  });
  try {
    const text = await within(line, (LIMIT + 10) * 1000, "the load printed nothing");
    if (text === "") throw new Error("not all connections could be held");
    return JSON.parse(text) as Load;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}
