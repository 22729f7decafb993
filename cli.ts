/** The name it is called by, or --as, chooses the command. The only exit() is here. */

import { basename } from "node:path";
import process from "node:process";
import { sslserver } from "./src/commands/sslserver.ts";
import { tcprules } from "./src/commands/tcprules.ts";
import { tcprulescheck } from "./src/commands/tcprulescheck.ts";
import { currentRuntime } from "./src/runtime/current.ts";

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  let name = basename(process.argv0);
  if (argv[0] === "--as") {
    name = argv[1] ?? "";
    argv.splice(0, 2);
  }
  const io = {
    stdin: process.stdin as AsyncIterable<Uint8Array>,
    stdout: (text: string) => void process.stdout.write(text),
    stderr: (text: string) => void process.stderr.write(text),
    env: process.env,
  };
  if (name === "tcprules") return await tcprules(argv, io);
  if (name === "tcprulescheck") return await tcprulescheck(argv, io);
  return await sslserver(argv, process.env, currentRuntime);
}

process.exit(await main());
