/** Copies the log lines of workers that drain after their monitor has exited, until the last worker
 *  has ended. The process has the server's stderr, so no worker must be able to take it over. It
 *  only reads bytes, forms lines and writes them, as the workers' user, in their chroot, with a
 *  seccomp filter that allows no sockets. */

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

/** The instructions of the copier, as JSON in its argument. */
export interface CopierPlan {
  /** Number of descriptors to read, from `FIRST_FD` on. */
  readonly workers: number;
  readonly identity: Identity;
  /** Lines to write before those of the workers. */
  readonly first: string;
}

const FIRST_FD = 3;
const STDERR = 2;
const CHUNK = 16 << 10;
/** Milliseconds to wait after each round. A round reads `CHUNK` bytes at most from each worker, so
 *  a worker can write 2 MB per second. */
const ROUND_PAUSE = 8;

/** Runs until the workers have ended. Returns the exit code; never throws. */
export function logCopier(runtime: Runtime, argv: readonly string[]): number {
  const { libc } = runtime;
  try {
    const plan = readPlan(argv[0]);
    const fds = Array.from({ length: plan?.workers ?? 0 }, (_, i) => FIRST_FD + i);
    if (!libc || !plan || !fds.every((fd) => isStreamSocket(libc, fd))) {
      throw new Error("only sslserver may start this process");
    }
    // Ignored: the process ends with the last worker, and a worker may have clients for long.
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

/** Blocks in system calls, since this process does nothing else. While stderr accepts nothing,
 *  nothing is read, and the workers count the lines that they lose. */
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
    libc.pollAll([], ROUND_PAUSE);
  }
}

function write(libc: Libc, lines: string): void {
  const bytes = new TextEncoder().encode(lines);
  for (let at = 0; at < bytes.length;) {
    const taken = libc.write(STDERR, bytes.subarray(at, at + 4096));
    if (taken === undefined) libc.poll(STDERR, POLL.out, -1); // non-blocking by another process
    else at += taken;
  }
}
