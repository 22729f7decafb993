/** Measurements of bytes, memory and starts. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Held, hold, load } from "./client.ts";
import { AFFORDABLE, CAT, judge, type Measurement, served, settledMemory } from "./measure.ts";
import { descriptors, serverEnvironment } from "./process.ts";
import type { Command } from "./servers.ts";
import type { Figures } from "./table.ts";

const HEAD = "/usr/bin/head";
const ECHO_BYTES = 64 << 20;
const DOWNLOAD_BYTES = 512 << 20;
/** The number of starts of which the median counts. */
const STARTS = 7;

/** The numbers of open connections at which memory is measured. */
export const IDLE_STEPS = [100, 1000, Math.min(3000, AFFORDABLE)];

/** The name of the figure that tells the memory with `count` idle connections. */
export const memoryWith = (count: number): string => `server PSS with ${count}, MB`;

/** Measures throughput through `cat` on four connections. */
export const echo: Measurement = (pass) =>
  served(pass, async (server) => {
    const before = server.cpu();
    const seen = await load(pass.tools, "echo", server.port, { atOnce: 4, bytes: ECHO_BYTES });
    judge(pass.note, seen, " of 4 echoes");
    if (seen.failed) return;
    pass.figures["echo MB/s, 4 connections"] = seen.rate;
    pass.figures["echo, CPU s per GB"] = (server.cpu() - before) / (4 * ECHO_BYTES / 1e9);
  });

/** Measures throughput from `head` on one connection. */
export const download: Measurement = (pass) =>
  served(pass, async (server) => {
    const before = server.cpu();
    const seen = await load(pass.tools, "download", server.port, { bytes: DOWNLOAD_BYTES });
    judge(pass.note, seen);
    pass.figures["download MB/s"] = seen.rate;
    pass.figures["download, CPU s per GB"] = (server.cpu() - before) / (DOWNLOAD_BYTES / 1e9);
  }, [HEAD, "-c", String(DOWNLOAD_BYTES), "/dev/zero"]);

/** Measures memory and descriptors of the server, without its programs, as connections are added. */
export function idle(most = Infinity): Measurement {
  return (pass) =>
    served(pass, async (server) => {
      const { tools, figures } = pass;
      const first = server.processes(CAT);
      const open = descriptors(first);
      const base = await settledMemory(server);
      figures[memoryWith(0)] = base;
      figures["processes"] = first.length;
      const held: Held[] = [];
      let last: Figures = {};
      let [count, mb] = [0, base];
      try {
        for (const step of IDLE_STEPS.filter((step) => step <= most)) {
          const more = await hold(tools, "hold", server.port, step - count);
          held.push(more);
          judge(pass.note, more.seen, ` of ${step} to be held`);
          if (more.seen.failed) return;
          const now = await settledMemory(server);
          // Skip the first step: the garbage of the start hides the cost of the first hundred.
          if (count > 0) {
            const each = (now - mb) * 1000 / (step - count);
            figures[`PSS KB per connection, ${count} to ${step}`] = each;
          }
          figures[memoryWith(step)] = now;
          [count, mb] = [step, now];
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
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Measures the time from the start to the line with the port, in turns with an empty program of the same
 *  runtime, and memory after the start. */
export const start: Measurement = async (pass) => {
  const { tools, subject, figures } = pass;
  if (subject.printsPort) {
    const run = promisify(execFile);
    const once = async ({ command, env }: Command): Promise<number> => {
      const { stdout } = await run(tools.start, ["1", ...command], {
        env: { ...serverEnvironment(), ...env },
      });
      return Number(stdout);
    };
    const own: number[] = [];
    const empty: number[] = [];
    for (let i = 0; i < STARTS; i++) {
      own.push(await once(subject.at(0, [CAT])));
      if (subject.empty) empty.push(await once({ command: subject.empty() }));
    }
    const median = (all: number[]): number => all.sort((a, b) => a - b)[all.length >> 1] as number;
    figures["start to port line, ms"] = median(own);
    if (subject.empty) {
      figures["an empty program of this runtime, ms"] = median(empty);
      figures["start / empty program"] = median(own) / median(empty);
    }
  }
  await served(
    pass,
    async (server) => {
      figures["PSS after the start, MB"] = await settledMemory(server);
    },
    undefined,
    1,
  );
};
