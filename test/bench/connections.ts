/** Measurements of connections: their rate, CPU and times, when a server has just started, when it is
 *  warm, when connections are rare, and beside stalled or idle ones. */

import { hold, load } from "./client.ts";
import {
  AFFORDABLE,
  attempt,
  type Demand,
  type JointMeasurement,
  launch,
  type Measurement,
  memory,
  type Pass,
  served,
  take,
  warmUp,
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
      for (const one of each) await take(pass, server, one);
      pass.figures["PSS afterwards, MB"] = memory(server);
    });
}

/** Measures the first connections of a server that starts for them. */
export function justStarted(load: Demand): Measurement {
  return (pass) => served(pass, (server) => take(pass, server, load), undefined, 1);
}

interface Live {
  /** The current round. */
  pass: Pass;
  readonly server: Running;
  /** True: left out from now on. */
  failed: boolean;
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
        live.push({ pass, server: await launch(pass), failed: false });
      });
    }
    await body(live);
  } finally {
    await Promise.all(live.map(({ server }) => server.stop()));
  }
}

/** One step of one server. After a failure the server is left out. */
async function step(
  one: Live,
  work: (pass: Pass, server: Running) => Promise<void>,
): Promise<void> {
  if (!one.failed) one.failed = !await attempt(one.pass, () => work(one.pass, one.server));
}

/** Measures warm servers, which run at the same time and are loaded in turn, so that other load of the
 *  machine affects all of them equally. Every turn is a round. */
export function inTurns(
  each: readonly Demand[],
  turns: number,
  peerTurns: number,
): JointMeasurement {
  return (subjects, next) =>
    together(subjects, next, async (live) => {
      for (const one of live) await step(one, warmUp);
      for (let turn = 0; turn < turns; turn++) {
        const at = turn % (live.length || 1);
        const order = [...live.slice(at), ...live.slice(0, at)]
          .filter(({ pass: { subject } }) => !subject.peer || turn < peerTurns);
        if (turn > 0) { for (const one of order) one.pass = next(one.pass.subject); }
        for (const load of each) {
          for (const one of order) await step(one, (pass, server) => take(pass, server, load));
        }
        for (const one of order) {
          if (!one.failed) one.pass.figures["PSS afterwards, MB"] = memory(one.server);
        }
      }
    });
}

/** Measures all servers at the same time, each with one new connection per `interval` milliseconds. Their
 *  connections are staggered. */
export function rare(interval: number): JointMeasurement {
  return (subjects, next) =>
    together(subjects, next, async (live) => {
      await Promise.all(live.map(async (one, i) => {
        await new Promise((resolve) => setTimeout(resolve, i * interval / live.length));
        await step(one, async ({ tools, figures, note }, server) => {
          const before = server.cpu();
          const options = { total: RARE, atOnce: 16, seconds: Infinity, interval };
          const seen = await load(tools, "conn", server.port, options);
          if (seen.failed) note(`${seen.failed} failed: ${seen.error}`);
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
    const { p50 } = await load(pass.tools, "conn", port, one);
    const without = await load(pass.tools, "conn", port, { ...one, nagle: true });
    pass.figures["p50 ms, a client with TCP_NODELAY"] = p50;
    pass.figures["p50 ms, a client without it"] = without.p50;
  });

/** Measures connections in addition to clients that stop after their ClientHello. */
export const besideStalled: Measurement = (pass) =>
  served(pass, async (server) => {
    const { tools, figures, note } = pass;
    await warmUp(pass, server);
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

/** Compares the rate of new connections while thousands are idle with the rate without these. */
export const besideIdle: Measurement = (pass) =>
  served(pass, async (server) => {
    const { tools, figures, note } = pass;
    await warmUp(pass, server);
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
