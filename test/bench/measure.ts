/** What the measurements share: starting a server, warming it up, and the figures of one load. */

import { join } from "@std/path";
import { type Load, load } from "./client.ts";
import type { Tools } from "./prepare.ts";
import { descriptorLimit, pss, Running } from "./process.ts";
import type { Subject } from "./servers.ts";
import type { Figures } from "./table.ts";

/** One server in one round of one section. */
export interface Pass {
  readonly tools: Tools;
  readonly subject: Subject;
  /** Gets the figures. Those that precede a failure are kept. */
  readonly figures: Figures;
  /** Reports a failure, or why the figures of this server are not like the others. */
  note(text: string): void;
}

/** Measures one server, which it starts. */
export type Measurement = (pass: Pass) => Promise<void>;

/** Measures one server that runs and is warm. */
export type WarmMeasurement = (pass: Pass, server: Running) => Promise<void>;

/** Measures all servers together. `next` makes a new round of one of them. */
export type JointMeasurement = (
  subjects: readonly Subject[],
  next: (subject: Subject) => Pass,
) => Promise<void>;

/** A load: `total` connections, or those that can be begun in `seconds`. */
export interface Demand {
  atOnce: number;
  total: number;
  seconds: number;
}

export const CAT = "/bin/cat";

/** Warms up a server that compiles while it runs. */
const WARMING = { total: 15_000, atOnce: 64, seconds: 30 };

/** The number of connections that the descriptor limit permits. No process keeps more than four
 *  descriptors for each. */
export const AFFORDABLE = Math.floor((descriptorLimit() - 500) / 4);

/** Starts a server, which has served at least one connection when this resolves. `first`: the number of
 *  connections to make. */
export async function launch(
  tools: Tools,
  subject: Subject,
  program: readonly string[] = [CAT],
  first = 100,
): Promise<Running> {
  const log = subject.logs ? undefined : join(tools.scratch, "server.log");
  const server = await Running.start((port) => subject.at(port, program), log);
  try {
    // A server that listens may not serve yet. The cost of a start is measured elsewhere.
    if (program[0] !== CAT) await load(tools, "download", server.port, { bytes: 1 << 20 });
    else await load(tools, "conn", server.port, { total: first, atOnce: Math.min(4, first) });
    await server.quiet(server.processes(program[0] ?? "").length);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Runs `body` with a server that `launch` has started, and ends the server. */
export async function served(
  pass: Pass,
  body: (server: Running) => Promise<void>,
  program: readonly string[] = [CAT],
  first?: number,
): Promise<void> {
  const server = await launch(pass.tools, pass.subject, program, first);
  try {
    await body(server);
  } finally {
    await server.stop();
  }
}

/** Gives a server that compiles while it runs enough connections to compile its code. */
export async function warmUp(tools: Tools, subject: Subject, server: Running): Promise<void> {
  if (!subject.compiles) return;
  const idle = server.members().length;
  await load(tools, "conn", server.port, WARMING);
  await server.quiet(idle);
}

/** Resolves when the server uses less than a tenth of a core, or after fifteen seconds. */
export async function rested(server: Running): Promise<void> {
  const end = performance.now() + 15_000;
  for (let used = Infinity; used > 0.03 && performance.now() < end;) {
    const before = server.cpu();
    await new Promise((resolve) => setTimeout(resolve, 300));
    used = server.cpu() - before;
  }
}

/** Notes what makes a load unlike that of other servers: failures, and TLS 1.2. */
export function judge(note: Pass["note"], seen: Load, where = ""): void {
  if (seen.failed) note(`${seen.failed} failed${where}: ${seen.error}`);
  if (seen.protocol !== "TLSv1.3") note(`it has ${seen.protocol} only`);
}

/** Measures rate, CPU and times of one load. */
export async function take(
  { tools, figures, note }: Pass,
  server: Running,
  { atOnce, total, seconds }: Demand,
): Promise<void> {
  const idle = server.members().length;
  const before = server.cpu();
  const seen = await load(tools, "conn", server.port, { total, atOnce, seconds });
  await server.quiet(idle);
  judge(note, seen, `, ${atOnce} at once`);
  const when = `, ${atOnce} at once`;
  figures[`conn/s${when}`] = seen.rate;
  figures[`CPU ms per connection${when}`] = (server.cpu() - before) * 1e3 / seen.ok;
  figures[`p50 ms${when}`] = seen.p50;
  figures[`p99 ms${when}`] = seen.p99;
  if (atOnce !== 64) return;
  figures[`slowest ms${when}`] = seen.max;
  figures["slowest of 2000 at most / median"] = seen.max / seen.p50;
}

/** Runs `work`. If it fails, this is noted, and the result is false. */
export async function attempt({ note }: Pass, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    note(error instanceof Error ? error.message : String(error));
    return false;
  }
}

/** The items rotated by `by`, so that each round begins with another server. */
export function turned<T>(all: readonly T[], by: number): T[] {
  const at = by % (all.length || 1);
  return [...all.slice(at), ...all.slice(0, at)];
}

/** The memory of the server's processes, without its programs, in MB. */
export const memory = (server: Running): number => pss(server.processes(CAT)) / 1000;

/** The smallest of three values, half a second apart, because garbage collectors run at any time. */
export async function settledMemory(server: Running): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 3; look++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    least = Math.min(least, memory(server));
  }
  return least;
}
