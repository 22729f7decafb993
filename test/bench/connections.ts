/** Measurements of connections: their rate, CPU and times, when a server has just started, when it is
 *  warm, when connections are rare, and beside stalled or idle ones. */

import { hold, load } from "./client.ts";
import {
  AFFORDABLE,
  attempt,
  type Demand,
  type JointMeasurement,
  judge,
  launch,
  type Measurement,
  memory,
  type Pass,
  rested,
  served,
  take,
  type WarmMeasurement,
} from "./measure.ts";
import type { Running } from "./process.ts";
import type { Subject } from "./servers.ts";

const STALLED = 500;
const HELD = 3000;
/** The load in addition to connections that are held. */
const BESIDE = { total: 1000, atOnce: 64, seconds: 3 };
/** Connections of `rare`, and of each kind of client of `nagle`. */
const RARE = 200;
const NAGLE = 100;

/** Measures connections under each load, with a server that made a hundred before. */
export function connections(each: readonly Demand[]): Measurement {
  return (pass) =>
    served(pass, async (server) => {
      for (const step of underLoad(each)) await step(pass, server);
    });
}

/** The steps that measure connections under each load, and memory after all of them. */
export function underLoad(each: readonly Demand[]): WarmMeasurement[] {
  return [
    ...each.map((one): WarmMeasurement => (pass, server) => take(pass, server, one)),
    async ({ figures }, server) => {
      figures["PSS afterwards, MB"] = memory(server);
    },
  ];
}

/** Measures the first connections of a server that starts for them. */
export function justStarted(load: Demand): Measurement {
  return (pass) => served(pass, (server) => take(pass, server, load), undefined, 1);
}

interface Live {
  readonly pass: Pass;
  readonly server: Running;
}

/** Starts all servers, runs `body` with those that start, and ends them. */
async function together(
  subjects: readonly Subject[],
  next: (subject: Subject) => Pass,
  body: (live: readonly Live[]) => Promise<void>,
): Promise<void> {
  const live: Live[] = [];
  try {
    for (const subject of subjects) {
      const pass = next(subject);
      await attempt(pass, async () => {
        live.push({ pass, server: await launch(pass.tools, subject) });
      });
    }
    await body(live);
  } finally {
    await Promise.all(live.map(({ server }) => server.stop()));
  }
}

/** Measures all servers at the same time, each with one new connection per `interval` milliseconds. Their
 *  connections are staggered. */
export function rare(interval: number): JointMeasurement {
  return (subjects, next) =>
    together(subjects, next, async (live) => {
      await Promise.all(live.map(async ({ pass, server }, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * interval / live.length));
        await attempt(pass, async () => {
          const { tools, figures, note } = pass;
          const before = server.cpu();
          const options = { total: RARE, atOnce: 16, seconds: Infinity, interval };
          const seen = await load(tools, "conn", server.port, options);
          judge(note, seen);
          figures["CPU ms per connection"] = (server.cpu() - before) * 1e3 / seen.ok;
          figures["p50 ms"] = seen.p50;
          figures["p99 ms"] = seen.p99;
          figures["slowest ms"] = seen.max;
          figures["PSS afterwards, MB"] = memory(server);
        });
      }));
    });
}

/** Compares a client that sets TCP_NODELAY with one that does not. */
export const nagle: Measurement = (pass) =>
  served(pass, async ({ port }) => {
    const one = { total: NAGLE, atOnce: 1 };
    const seen = await load(pass.tools, "conn", port, one);
    judge(pass.note, seen);
    const without = await load(pass.tools, "conn", port, { ...one, nagle: true });
    pass.figures["p50 ms, a client with TCP_NODELAY"] = seen.p50;
    pass.figures["p50 ms, a client without it"] = without.p50;
  });

/** Measures connections in addition to clients that stop after their ClientHello. */
export const besideStalled: WarmMeasurement = async ({ tools, figures, note }, server) => {
  const idle = server.members().length;
  const stalled = await hold(tools, "stall", server.port, STALLED);
  try {
    if (stalled.seen.failed) note(`${stalled.seen.failed} of ${STALLED} were not kept`);
    // The load does not wait for answers. A server that starts a process for each is not ready yet.
    await rested(server);
    const seen = await load(tools, "conn", server.port, BESIDE);
    judge(note, seen, " beside stalled ones");
    figures[`conn/s, 64 at once, ${STALLED} stalled`] = seen.rate;
    figures["p50 ms"] = seen.p50;
    figures["p99 ms"] = seen.p99;
    figures["slowest ms"] = seen.max;
  } finally {
    await stalled.release();
  }
  await server.quiet(idle);
};

/** Compares the rate of new connections while thousands are idle with the rate without these. */
export const besideIdle: WarmMeasurement = async ({ tools, figures, note }, server) => {
  const idle = server.members().length;
  const alone = await load(tools, "conn", server.port, BESIDE);
  const many = Math.min(HELD, AFFORDABLE - BESIDE.atOnce);
  const held = await hold(tools, "hold", server.port, many);
  try {
    if (held.seen.failed) note(`${held.seen.failed} of ${many} failed: ${held.seen.error}`);
    const beside = await load(tools, "conn", server.port, BESIDE);
    judge(note, beside, " beside idle ones");
    figures["conn/s, 64 at once, no others"] = alone.rate;
    figures[`conn/s, 64 at once, ${many} idle`] = beside.rate;
    figures["idle / no others"] = beside.rate / alone.rate;
    figures[`p99 ms, ${many} idle`] = beside.p99;
  } finally {
    await held.release();
  }
  await server.quiet(idle);
};
