/** Chooses the command by the name that the process was called with, or by --as. If a runtime runs
 *  a file (bin/ of the npm package), the name of the file counts. Each command is loaded only when
 *  it is chosen, so that a process starts faster. Only this file calls exit(). */

import { basename } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { LOG_COMMAND, WORKER_COMMAND } from "./src/privsep/commands.ts";
import { confine, CONFINE_COMMAND } from "./src/runtime/confine.ts";
import { currentRuntime } from "./src/runtime/current.ts";

/** The file that a runtime is told to run for a worker: this one, wherever it is. */
const MAIN = import.meta.url.startsWith("file:") ? fileURLToPath(import.meta.url) : import.meta.url;

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  const env: Readonly<Record<string, string | undefined>> = process.env;
  const names = [basename(process.argv0), basename(process.argv[1] ?? "", ".ts")];
  if (argv[0] === "--as" && argv[1] === CONFINE_COMMAND) return await confine(argv.slice(2));
  if (argv[0] === "--as") names.splice(0, 2, ...argv.splice(0, 2).slice(1));
  const io = {
    // Lazy: creating process.stdin costs 10 ms under Bun, so only commands that read it pay.
    get stdin() {
      return process.stdin as AsyncIterable<Uint8Array>;
    },
    stdout: (text: string) => void process.stdout.write(text),
    stderr: (text: string) => void process.stderr.write(text),
    env,
  };
  if (names.includes("tcprules")) {
    return await (await import("./src/commands/tcprules.ts")).tcprules(argv, io);
  }
  if (names.includes("tcprulescheck")) {
    return await (await import("./src/commands/tcprulescheck.ts")).tcprulescheck(argv, io);
  }
  if (names[0] === WORKER_COMMAND) {
    const { worker } = await import("./src/privsep/worker/worker.ts");
    return await worker(await currentRuntime());
  }
  if (names[0] === LOG_COMMAND) {
    const { logCopier } = await import("./src/privsep/log_copier.ts");
    return logCopier(await currentRuntime(), argv);
  }
  const { sslserver } = await import("./src/commands/sslserver.ts");
  return await sslserver(argv, env, currentRuntime, MAIN);
}

process.exit(await main());
