/** Copies the lines of workers that drain after their monitor has gone, until the last worker has ended.
 *  It has the server's stderr, so it must not be what a worker can take over: it reads bytes, makes lines
 *  of them and writes them, as the workers' user, in their jail, behind a filter that knows no sockets. */

import fs from "node:fs";
import { EXIT, reason } from "../errors.ts";
import { isStreamSocket } from "../runtime/libc/inherited.ts";
import { type Libc, POLL } from "../runtime/libc/libc.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { LOG_COMMAND } from "./commands.ts";
import { drop } from "./drop.ts";
import type { Identity } from "./identity.ts";
import { LogLines } from "./log_lines.ts";
import { sandbox } from "./sandbox.ts";

/** What it is told, as JSON in its argument. */
export interface CopierPlan {
  /** So many descriptors from `FIRST` on. */
  readonly workers: number;
  readonly identity: Identity;
  /** Lines that come before those of the workers. */
  readonly first: string;
}

const FIRST = 3;
const STDERR = 2;
const CHUNK = 16 << 10;
/** All workers together: one read, and so long a rest behind it in milliseconds, are 2 MB a second. */
const REST = 8;

/** Runs until the workers have ended. The exit code; never rejects. */
export function logCopier(runtime: Runtime, argv: readonly string[]): number {
  const { libc } = runtime;
  try {
    const plan = readPlan(argv[0]);
    const fds = Array.from({ length: plan?.workers ?? 0 }, (_, i) => FIRST + i);
    if (!libc || !plan || !fds.every((fd) => isStreamSocket(libc, fd))) {
      throw new Error("only sslserver starts it");
    }
    // It ends with the workers, and they may have clients for long.
    for (const name of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const) {
      runtime.onSignal(name, () => {});
    }
    runtime.ignoreSignals();
    runtime.debuggerShut();
    drop(libc, plan.identity);
    sandbox(libc, { files: "none", sockets: false });
    write(libc, plan.first);
    copy(libc, new Map(fds.map((fd) => [fd, new LogLines()])));
    return EXIT.ok;
  } catch (error) {
    fs.writeSync(STDERR, `${LOG_COMMAND}: fatal: unable to copy lines: ${reason(error)}\n`);
    return EXIT.usage;
  }
}

function readPlan(text = ""): CopierPlan | undefined {
  try {
    return JSON.parse(text) as CopierPlan;
  } catch {
    return undefined;
  }
}

/** Waits in system calls: nothing else happens in this process. When stderr takes nothing, nothing is
 *  read, and the workers count what they lose. */
function copy(libc: Libc, open: Map<number, LogLines>): void {
  while (open.size > 0) {
    for (const fd of libc.pollAll([...open.keys()], -1)) {
      const lines = open.get(fd) as LogLines;
      const chunk = libc.read(fd, CHUNK);
      if (chunk === undefined) continue;
      if (chunk.length > 0) write(libc, lines.push(chunk));
      else {
        write(libc, lines.end());
        open.delete(fd);
        libc.close(fd);
      }
    }
    libc.pollAll([], REST);
  }
}

function write(libc: Libc, lines: string): void {
  const bytes = new TextEncoder().encode(lines);
  for (let at = 0; at < bytes.length;) {
    const taken = libc.write(STDERR, bytes.subarray(at, at + 4096));
    if (taken === undefined) libc.poll(STDERR, POLL.out, -1); // others have made it non-blocking
    else at += taken;
  }
}
