/** `deno task profile`: where the time of one connection goes in our server, for each runtime, and the limit
 *  that no server can pass. The views are in views.ts, the limit is in limit.ts. Asserts nothing. --help
 *  lists the options. */

import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { commandLine } from "../../tools/command_line.ts";
import { freePort } from "../free_port.ts";
import { limit } from "./limit.ts";
import { CAT } from "./measure.ts";
import { prepare } from "./prepare.ts";
import { Running, stopAll } from "./process.ts";
import { ours, references } from "./servers.ts";
import { calls, run, samples, stages, times } from "./views.ts";

const OPTIONS = commandLine("deno task profile [OPTION…]", {
  connections: { value: "N", help: "connections of each view", fallback: 1000 },
  "at-once": { value: "N", help: "connections at the same time", fallback: 16 },
  forms: { value: "FORMS", help: "the forms to profile", fallback: "binary,deno" },
  bin: { value: "FILE", help: "the compiled file to measure; without it one is built" },
  out: { value: "FILE", help: "write the profile to this file too" },
});
const TITLES = { binary: "The compiled file", deno: "Deno" };

async function main(): Promise<void> {
  const { connections: total, "at-once": atOnce } = OPTIONS;
  const forms = (["binary", "deno"] as const)
    .filter((form) => OPTIONS.forms.split(",").includes(form));
  const tools = prepare(OPTIONS.bin);
  const end = async (): Promise<void> => {
    await stopAll();
    fs.rmSync(tools.scratch, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => end().then(() => process.exit(130)));
  }
  try {
    const metrics = await freePort();
    const whole = [...references(tools), ...forms.map((form) => ours(tools, TITLES[form], form))];
    const parts = [
      `# Profile\n\n${total} connections, ${atOnce} at once.\n`,
      await limit(tools, whole, total, [1, atOnce]),
    ];
    for (const form of forms) {
      const subject = ours(tools, form, form, ["--metrics", `127.0.0.1:${metrics}`]);
      parts.push(`## ${TITLES[form]}\n`);
      for (const view of [stages, times, calls, samples]) {
        const log = join(tools.scratch, "server.log");
        const server = await Running.start((port) => subject.at(port, [CAT]), log);
        const profiled = { tools, server, metrics, total, atOnce };
        try {
          await run(profiled, total); // fills caches and compiles code first
          parts.push(await view(profiled));
        } finally {
          await server.stop();
        }
      }
    }
    process.stdout.write(parts.join("\n"));
    if (OPTIONS.out !== undefined) fs.writeFileSync(OPTIONS.out, parts.join("\n"));
  } finally {
    await end();
  }
}

await main();
