/** The measurements. Each starts a server, puts it under load, and returns figures by name. */

import { join } from "@std/path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Held, hold, load } from "./client.ts";
import type { Tools } from "./prepare.ts";
import { descriptorLimit, descriptors, pss, Running, serverEnvironment } from "./process.ts";
import type { Subject } from "./servers.ts";

/** Figures by name. The name includes the unit. */
export type Figures = Record<string, number>;

/** Measures one server. `note` reports failures. */
export type Measurement = (
  tools: Tools,
  subject: Subject,
  note: (text: string) => void,
) => Promise<Figures>;

/** Measures all servers together. `record` gets the figures of one pass. */
export type JointMeasurement = (
  tools: Tools,
  subjects: readonly Subject[],
  note: (text: string) => void,
  record: (subject: Subject, figures: Figures) => void,
) => Promise<void>;

const CAT = "/bin/cat";
const HEAD = "/usr/bin/head";

const ECHO_BYTES = 64 << 20;
const DOWNLOAD_BYTES = 512 << 20;
const STALLED = 500;
const HELD = 3000;
const STARTS = 10;
/** The load of a server that has just started. WARMING warms up a server that compiles while it runs. */
const FIRST = { total: 1000, atOnce: 16, seconds: 2 };
const WARMING = { total: 15_000, atOnce: 64, seconds: 30 };
/** The load in addition to connections that are held. */
const BESIDE = { total: 1000, atOnce: 64, seconds: 3 };

/** The number of connections that the descriptor limit permits. No process keeps more than four
 *  descriptors for each. */
const AFFORDABLE = Math.floor((descriptorLimit() - 500) / 4);
/** The numbers of open connections at which memory is measured. */
const IDLE_STEPS = [100, 1000, Math.min(5000, AFFORDABLE)];

/** Starts a server, makes a few connections, runs `body`, and ends the server. */
async function served(
  tools: Tools,
  subject: Subject,
  program: readonly string[],
  body: (server: Running) => Promise<void>,
): Promise<void> {
  const log = subject.logs ? undefined : join(tools.scratch, "server.log");
  const server = await Running.start((port) => subject.at(port, program), log);
  try {
    // A server that listens may not serve yet. The cost of a start is measured elsewhere.
    if (program[0] === CAT) await load(tools, "conn", server.port, { total: 100, atOnce: 4 });
    else await load(tools, "download", server.port, { atOnce: 1, bytes: 1 << 20 });
    await server.quiet(server.processes(program[0] ?? "").length);
    await body(server);
  } finally {
    await server.stop();
  }
}

/** Gives a server that compiles while it runs enough connections to compile its code. */
async function warmUp(tools: Tools, { compiles }: Subject, server: Running): Promise<void> {
  if (!compiles) return;
  const idle = server.members().length;
  await load(tools, "conn", server.port, WARMING);
  await server.quiet(idle);
}

/** A load: `total` connections, or those that can be begun in `seconds`. */
export interface Demand {
  atOnce: number;
  total: number;
  seconds: number;
}

/** Measures rate, CPU and times of one load. `when` is added to the names of the figures. */
async function take(
  tools: Tools,
  server: Running,
  { atOnce, total, seconds }: Demand,
  note: (text: string) => void,
  when = "",
): Promise<Figures> {
  const idle = server.members().length;
  const before = server.cpu();
  const seen = await load(tools, "conn", server.port, { total, atOnce, seconds });
  await server.quiet(idle);
  if (seen.failed) note(`${seen.failed} failed, ${atOnce} at once: ${seen.error}`);
  const cpu = (server.cpu() - before) * 1e3 / seen.ok;
  return {
    [`conn/s, ${atOnce} at once${when}`]: seen.rate,
    [`CPU ms per connection, ${atOnce} at once${when}`]: cpu,
    ...(atOnce < 64 ? {} : {
      [`p50 ms, ${atOnce} at once`]: seen.p50,
      [`p99 ms, ${atOnce} at once`]: seen.p99,
      [`slowest ms, ${atOnce} at once`]: seen.max,
      [`slowest of ${total} at most / median`]: seen.max / seen.p50,
    }),
  };
}

/** Measures rate, CPU and times of connections under each load. */
export function connections(each: readonly Demand[]): Measurement {
  return async (tools, subject, note) => {
    const figures: Figures = {};
    await served(tools, subject, [CAT], async (server) => {
      for (const one of each) Object.assign(figures, await take(tools, server, one, note));
      figures["PSS afterwards, MB"] = pss(server.processes(CAT)) / 1000;
    });
    return figures;
  };
}

/** Like `connections`, for all servers together. They take turns of one or two seconds, `passes` times, so
 *  that other load of the machine affects all of them equally. Measures each server first just after its
 *  start, then, when all are warm, in each pass. */
export function connectionsInTurns(each: readonly Demand[], passes: number): JointMeasurement {
  return async (tools, subjects, note, record) => {
    const servers: Running[] = [];
    const inTurn = async (
      by: number,
      work: (subject: Subject, server: Running, at: number) => Promise<void>,
    ): Promise<void> => {
      for (let turn = 0; turn < subjects.length; turn++) {
        const at = (turn + by) % subjects.length;
        await work(subjects[at] as Subject, servers[at] as Running, at);
      }
    };
    const startAll = async (): Promise<void> => {
      const next = subjects[servers.length];
      if (!next) return await measure();
      await served(tools, next, [CAT], async (server) => {
        servers.push(server);
        await startAll();
      });
    };
    const measure = async (): Promise<void> => {
      await inTurn(0, async (subject, server) => {
        record(subject, await take(tools, server, FIRST, note, ", just started"));
        await warmUp(tools, subject, server);
      });
      for (let pass = 0; pass < passes; pass++) {
        const figures = subjects.map((): Figures => ({}));
        for (const one of each) {
          await inTurn(pass, async (_, server, at) => {
            Object.assign(figures[at] as Figures, await take(tools, server, one, note));
          });
        }
        await inTurn(0, (subject, server, at) => {
          const memory = pss(server.processes(CAT)) / 1000;
          record(subject, { ...figures[at], "PSS afterwards, MB": memory });
          return Promise.resolve();
        });
      }
    };
    await startAll();
  };
}

/** Measures connections in addition to clients that stop after their ClientHello. */
export const besideStalled: Measurement = async (tools, subject, note) => {
  const figures: Figures = {};
  await served(tools, subject, [CAT], async (server) => {
    await warmUp(tools, subject, server);
    const stalled = await hold(tools, "stall", server.port, STALLED);
    try {
      if (stalled.seen.failed) note(`${stalled.seen.failed} of ${STALLED} were not kept`);
      const seen = await load(tools, "conn", server.port, BESIDE);
      if (seen.failed) note(`${seen.failed} failed beside stalled ones: ${seen.error}`);
      figures[`conn/s, 64 at once, ${STALLED} stalled`] = seen.rate;
      figures["p50 ms"] = seen.p50;
      figures["p99 ms"] = seen.p99;
      figures["slowest ms"] = seen.max;
    } finally {
      await stalled.release();
    }
  });
  return figures;
};

/** Measures throughput through `cat` on four connections, and from `head` on one. */
export const throughput: Measurement = async (tools, subject, note) => {
  const figures: Figures = {};
  await served(tools, subject, [CAT], async (server) => {
    const before = server.cpu();
    const seen = await load(tools, "echo", server.port, { atOnce: 4, bytes: ECHO_BYTES });
    if (seen.failed) note(`${seen.failed} of 4 echoes failed: ${seen.error}`);
    figures["echo MB/s, 4 connections"] = seen.rate;
    figures["echo, CPU s per GB"] = (server.cpu() - before) / (4 * ECHO_BYTES / 1e9);
  });
  await served(
    tools,
    subject,
    [HEAD, "-c", String(DOWNLOAD_BYTES), "/dev/zero"],
    async (server) => {
      const before = server.cpu();
      const seen = await load(tools, "download", server.port, { atOnce: 1, bytes: DOWNLOAD_BYTES });
      figures["download MB/s"] = seen.rate;
      figures["download, CPU s per GB"] = (server.cpu() - before) / (DOWNLOAD_BYTES / 1e9);
    },
  );
  return figures;
};

/** Compares the rate of new connections while thousands are idle with the rate without these. */
export const besideIdle: Measurement = async (tools, subject, note) => {
  const figures: Figures = {};
  await served(tools, subject, [CAT], async (server) => {
    await warmUp(tools, subject, server);
    const alone = await load(tools, "conn", server.port, BESIDE);
    const many = Math.min(HELD, AFFORDABLE - BESIDE.atOnce);
    const held = await hold(tools, "hold", server.port, many);
    try {
      if (held.seen.failed) note(`${held.seen.failed} of ${many} failed: ${held.seen.error}`);
      const beside = await load(tools, "conn", server.port, BESIDE);
      if (beside.failed) note(`${beside.failed} failed beside idle ones: ${beside.error}`);
      figures["conn/s, 64 at once, no others"] = alone.rate;
      figures[`conn/s, 64 at once, ${many} idle`] = beside.rate;
      figures["idle / no others"] = beside.rate / alone.rate;
      figures[`p99 ms, ${many} idle`] = beside.p99;
    } finally {
      await held.release();
    }
  });
  return figures;
};

/** Measures memory and descriptors of the server, without its programs, as connections are added. */
export function idle(most = Infinity): Measurement {
  return async (tools, subject, note) => {
    const figures: Figures = {};
    const steps = IDLE_STEPS.filter((step) => step <= (subject.many ? most : 1000));
    await served(tools, subject, [CAT], async (server) => {
      const first = server.processes(CAT);
      const open = descriptors(first);
      figures["base PSS, MB"] = await settledPss(server) / 1000;
      figures["processes"] = first.length;
      const held: Held[] = [];
      let last: Figures = {};
      let [count, kb] = [0, 0];
      try {
        for (const step of steps) {
          const more = await hold(tools, "hold", server.port, step - count);
          held.push(more);
          const { failed, error } = more.seen;
          if (failed) return note(`${step} could not be held, ${failed} failed: ${error}`);
          const now = await settledPss(server);
          // Skip the first step: the garbage of the start hides the cost of the first hundred.
          if (count > 0) {
            figures[`PSS KB per connection, ${count} to ${step}`] = (now - kb) / (step - count);
          }
          figures[`server PSS with ${step}, MB`] = now / 1000;
          [count, kb] = [step, now];
          const processes = server.processes(CAT);
          const kept = descriptors(first).map((each, i) => each - (open[i] ?? 0));
          const added = sum(descriptors(processes)) - sum(open);
          last = {
            "descriptors per connection, all processes": added / step,
            "descriptors per connection, the fullest process": Math.max(...kept) / step,
            "processes per connection": (processes.length - first.length) / step,
          };
        }
      } finally {
        Object.assign(figures, last);
        await Promise.all(held.map((one) => one.release()));
      }
    });
    return figures;
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** The smallest of three values, half a second apart, because garbage collectors run at any time. */
async function settledPss(server: Running): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 3; look++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    least = Math.min(least, pss(server.processes(CAT)));
  }
  return least;
}

/** Measures the time from the start to the line with the port: the median of ten starts. The first start is
 *  not counted. */
export const startTime: Measurement = async (tools, subject) => {
  const { command, env } = subject.at(0, [CAT]);
  const run = promisify(execFile);
  const { stdout } = await run(tools.start, [String(STARTS), ...command], {
    env: { ...serverEnvironment(), ...env },
  });
  return { "start to port line, ms": Number(stdout) };
};
