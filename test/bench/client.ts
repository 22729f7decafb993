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
  /** Of the last connection: TLSv1.3 or TLSv1.2. */
  protocol: string;
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

export interface LoadOptions {
  /** Default: as many as `atOnce`. */
  total?: number;
  /** Default: 1. */
  atOnce?: number;
  bytes?: number;
  /** Begin no connection later than this. Infinity: as long as `total` takes. */
  seconds?: number;
  /** Milliseconds between the begins of two connections. Default: none. */
  interval?: number;
  /** True: a client that does not set TCP_NODELAY. */
  nagle?: boolean;
}

/** Makes one run. Throws if no connection succeeds. */
export async function load(
  tools: Tools,
  mode: "conn" | "echo" | "download",
  port: number,
  { atOnce = 1, total = atOnce, bytes = 0, seconds = LIMIT, interval = 0, nagle }: LoadOptions,
): Promise<Load> {
  const limit = LIMIT + total * interval / 1000;
  const child = start(tools, mode, port, limit, {
    n: total,
    c: atOnce,
    b: bytes,
    s: Math.min(seconds, limit),
    i: interval,
  }, nagle ? ["-N"] : []);
  const seen = await firstLine(child, limit);
  if (seen.ok === 0) throw new Error(`no connection succeeded: ${seen.error}`);
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
  const seen = await firstLine(child, LIMIT);
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
  flags: readonly string[] = [],
): ChildProcess {
  const args = Object.entries({ p: port, T: limit, ...options }).flatMap(([letter, value]) => [
    `-${letter}`,
    String(value),
  ]);
  return spawn(tools.load, [mode, ...args, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
}

async function firstLine(child: ChildProcess, limit: number): Promise<Load> {
  const line = new Promise<string>((resolve) => {
    let text = "";
    child.stdout?.on("data", (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      if (text.includes("\n")) resolve(text);
    });
    child.once("exit", () => setTimeout(() => resolve(text), 100));
  });
  try {
    const text = await within(line, (limit + 10) * 1000, "the load printed nothing");
    if (text === "") throw new Error("not all connections could be held");
    return JSON.parse(text) as Load;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}
