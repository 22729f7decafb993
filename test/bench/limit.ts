/** How far the server is from the least that any server needs: starting the program, and TLS, each measured
 *  alone (floor.c), beside whole servers. */

import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { load } from "./client.ts";
import { CAT } from "./measure.ts";
import type { Tools } from "./prepare.ts";
import { Running } from "./process.ts";
import type { Subject } from "./servers.ts";
import { format, markdown, median } from "./table.ts";

/** Turns of all servers. Medians count. */
const TURNS = 5;

/** The limit at some numbers of clients at once, as Markdown. The last subjects are those to judge. */
export async function limit(
  tools: Tools,
  subjects: readonly Subject[],
  total: number,
  loads: readonly number[],
): Promise<string> {
  const bare: Subject = {
    name: "TLS alone",
    version: "floor.c",
    at: (port) => ({ command: [tools.floor, "tls", String(port), tools.certificate, tools.key] }),
  };
  const all = [bare, ...subjects];
  const servers: Running[] = [];
  const spawns: { ms: number; cpu: number }[] = [];
  const figures = new Map<string, { server: number; client: number; rate: number }[]>();
  try {
    for (const subject of all) {
      const server = await Running.start((port) => subject.at(port, [CAT]), undefined);
      servers.push(server);
      const warming = subject.compiles ? 10 * total : 100;
      await load(tools, "conn", server.port, { total: warming, atOnce: 16 });
    }
    for (let turn = 0; turn < TURNS; turn++) {
      const [ms = 0, cpu = 0] = execFileSync(tools.floor, ["spawn", String(total), CAT], {
        encoding: "utf8",
      }).split(" ").map(Number);
      spawns.push({ ms, cpu });
      for (const atOnce of loads) {
        for (const [i, { name }] of all.entries()) {
          const server = servers[i] as Running;
          const idle = server.members().length;
          const before = server.cpu();
          const seen = await load(tools, "conn", server.port, { total, atOnce });
          await server.quiet(idle);
          const key = `${name}, ${atOnce}`;
          const now = {
            server: (server.cpu() - before) * 1e3 / seen.ok,
            client: seen.cpu * 1e3 / seen.ok,
            rate: seen.rate,
          };
          figures.set(key, [...figures.get(key) ?? [], now]);
        }
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  const spawn = median(spawns.map(({ cpu }) => cpu)) as number;
  const rows = loads.flatMap((atOnce) => {
    const of = (name: string, kind: "server" | "client" | "rate"): number =>
      median((figures.get(`${name}, ${atOnce}`) ?? []).map((one) => one[kind])) as number;
    const floor = spawn + of(bare.name, "server");
    const client = of(bare.name, "client");
    const most = cpus().length * 1e3 / (floor + client);
    return [
      [String(atOnce), "the program alone", format(spawn), "", "", ""],
      [String(atOnce), "both", format(floor), "", format(client), atOnce === 1 ? "" : format(most)],
      ...all.map(({ name }) => [
        String(atOnce),
        name,
        format(of(name, "server")),
        name === bare.name ? "" : format(of(name, "server") - floor),
        format(of(name, "client")),
        format(of(name, "rate")),
      ]),
    ];
  });
  const head = ["at once", "what", "CPU ms", "above both", "client's CPU ms", "conn/s"];
  return `## The limit\n\n${markdown(head, rows)}
Starting the program alone takes ${
    format(median(spawns.map(({ ms }) => ms)) as number)
  } ms. "Both" is the \
program and TLS; its rate is what ${cpus().length} cores permit if they do nothing else.\n`;
}
