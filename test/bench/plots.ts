/** The plots of the benchmark: which figures they show. */

import { type Line, plot } from "./plot.ts";
import { IDLE_STEPS, memoryWith } from "./resources.ts";
import { type Measured, roundsOf } from "./results.ts";
import { LOADS } from "./sections.ts";
import { middle } from "./table.ts";

/** File names and SVG documents, of the sections that were measured. */
export function plots(sections: readonly Measured[]): [name: string, svg: string][] {
  const lines = (
    section: string,
    ticks: readonly number[],
    figure: (x: number) => string,
  ): Line[] => {
    const found = sections.find(({ name }) => name === section);
    if (!found) return [];
    return [...roundsOf(found)].map(([name, rounds]) => ({
      name,
      strong: name === "ours",
      points: ticks.flatMap((x): [number, number][] => {
        const y = middle(rounds, figure(x));
        return y === undefined ? [] : [[x, y]];
      }),
    })).filter(({ points }) => points.length > 0);
  };
  const clients = LOADS.map(({ atOnce }) => atOnce);
  const open = [0, ...IDLE_STEPS];
  const rates = lines("conn", clients, (x) => `conn/s, ${x} at once`);
  const memory = lines("idle", open, memoryWith);
  const made: [string, string][] = [];
  if (rates.length > 0) {
    const svg = plot({
      title: "New connections, each with its own program",
      x: "clients at once",
      y: "connections per second",
      ticks: clients,
      even: true,
      lines: rates,
    });
    made.push(["connections.svg", svg]);
  }
  if (memory.length > 0) {
    const svg = plot({
      title: "Memory of the server, without its programs",
      x: "idle connections",
      y: "MB",
      ticks: open,
      even: true,
      logarithmic: true,
      lines: memory,
    });
    made.push(["memory.svg", svg]);
  }
  return made;
}
