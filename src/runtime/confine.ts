/** A separate program that restricts itself with Landlock, and then becomes a worker by exec:
 *  Landlock must apply before the worker has threads. Its arguments are those of the worker, its
 *  name first. It executes nothing but this server's own executable. */

import process from "node:process";
import type { Libc } from "./libc/libc.ts";
import { ownExecutable } from "./own_executable.ts";

/** The command name in the compiled program (cli.ts); elsewhere this file is run. */
export const CONFINE_COMMAND = "sslserver-confine";

/** The sockets to the monitor. */
const KEPT = [3, 4];

async function libcHere(): Promise<Libc | undefined> {
  if (typeof Deno !== "undefined") return (await import("./deno/load_libc.ts")).loadLibc();
  return (await import("./bun/load_libc.ts")).loadLibc();
}

/** Does not return, because exec replaces the process. Rejects if the system refuses. */
export async function confine(argv: readonly string[]): Promise<never> {
  const libc = await libcHere();
  if (!libc) throw new Error("unable to restrict a worker: no libc");
  libc.landlock({ readBelow: ["/"], execute: true });
  for (const fd of KEPT) libc.setCloseOnExec(fd, false); // Bun marks what it inherits
  return libc.become(ownExecutable(process.execPath), argv);
}

if (import.meta.main && /[/\\]confine\.[jt]s$/.test(import.meta.url)) {
  await confine(process.argv.slice(2));
}
