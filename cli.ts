/** Chooses the command by the name that the process was called with, or by --as. If a runtime runs
 *  a file (bin/ of the npm package), the name of the file counts. Each command is loaded only when
 *  it is chosen, so that a process starts faster. Only this file calls exit(). */

import { basename } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Command, CommandCall } from "./src/commands/command.ts";
import { EXIT } from "./src/errors.ts";
import { LOG_COMMAND, WORKER_COMMAND } from "./src/privsep/commands.ts";
import { confine, CONFINE_COMMAND } from "./src/runtime/confine.ts";
import { currentRuntime } from "./src/runtime/current.ts";

/** The file that a runtime is told to run for a worker: this one, wherever it is. */
const MAIN = import.meta.url.startsWith("file:") ? fileURLToPath(import.meta.url) : import.meta.url;

/** The commands by their names. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  async sslserver() {
    return (await import("./src/commands/sslserver.ts")).sslserver;
  },
  async sslhandle() {
    return (await import("./src/commands/sslhandle.ts")).sslhandle;
  },
  async s_server() {
    return (await import("./src/commands/s_server.ts")).sServer;
  },
  async sslclient() {
    return (await import("./src/commands/sslclient.ts")).sslclient;
  },
  async sslcat() {
    return (await import("./src/commands/sslcat.ts")).sslcat;
  },
  async sslconnect() {
    return (await import("./src/commands/sslconnect.ts")).sslconnect;
  },
  async "https@"() {
    return (await import("./src/commands/https_at.ts")).httpsAt;
  },
  async "s6-tlsserver"() {
    return (await import("./src/commands/s6_tlsserver.ts")).s6Tlsserver;
  },
  async tcprules() {
    const { tcprules } = await import("./src/commands/tcprules.ts");
    return (call) => tcprules(call.argv, call);
  },
  async tcprulescheck() {
    const { tcprulescheck } = await import("./src/commands/tcprulescheck.ts");
    return (call) => tcprulescheck(call.argv, call);
  },
  async [WORKER_COMMAND]() {
    const { worker } = await import("./src/privsep/worker/worker.ts");
    return async ({ runtime }) => await worker(await runtime());
  },
  async [LOG_COMMAND]() {
    const { logCopier } = await import("./src/privsep/log_copier.ts");
    return async ({ runtime, argv }) => logCopier(await runtime(), argv);
  },
};

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  const names = [basename(process.argv0), basename(process.argv[1] ?? "", ".ts")];
  if (argv[0] === "--as" && argv[1] === CONFINE_COMMAND) return await confine(argv.slice(2));
  if (argv[0] === "--as") {
    const [, name = ""] = argv.splice(0, 2);
    if (!Object.hasOwn(COMMANDS, name)) return unknownName(name);
    names.splice(0, 2, name);
  }
  const name = names.find((name) => Object.hasOwn(COMMANDS, name)) ?? "sslserver";
  const command = await COMMANDS[name]!();
  const call: CommandCall = {
    argv,
    env: process.env,
    // Lazy: creating process.stdin costs 10 ms under Bun, so only commands that read it pay.
    get stdin() {
      return process.stdin as AsyncIterable<Uint8Array>;
    },
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    write: writeBytes,
    main: MAIN,
    runtime: currentRuntime,
  };
  return await command(call);
}

/** Reports a name after --as that no command has. Returns the exit code. */
async function unknownName(name: string): Promise<number> {
  const own: readonly string[] = [WORKER_COMMAND, LOG_COMMAND];
  const known = Object.keys(COMMANDS).filter((name) => !own.includes(name)).join(", ");
  const { printable } = await import("./src/codec/printable.ts");
  const given = printable(name);
  process.stderr.write(`sslserver: fatal: unknown command '${given}': --as takes ${known}\n`);
  return EXIT.usage;
}

/** Writes to stdout and waits until the bytes are out, so that no more than one chunk is queued. */
function writeBytes(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // The error goes to the callback below. Without a listener, its event would end the process.
    if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", () => {});
    process.stdout.write(bytes, (error) => error ? reject(error) : resolve());
  });
}

process.exit(await main());
