/** UCSPI-TLS programs under Deno. `Deno.Command` passes no descriptors, and what `node:child_process`
 *  passes it also hands on under other numbers, so that a closed pipe would stay open: these
 *  programs are started and reaped by libc. Our ends of their pipes are driven by `node:net`. */

import { constants } from "node:os";
import type { Libc } from "./libc.ts";
import { POLL } from "./libc.ts";
import type { Program, SpawnOptions } from "./runtime.ts";
import { AdoptedStream } from "./deno_adopted.ts";

/** One direction of a descriptor of ours. */
class DescriptorStream extends AdoptedStream {
  readonly #libc: Libc;
  readonly #fd: number;

  constructor(libc: Libc, fd: number, direction: "read" | "write") {
    super(fd, { readable: direction === "read", writable: direction === "write" });
    this.#libc = libc;
    this.#fd = fd;
  }

  /** Bytes or the end are there that `onData` and `onEnd` have not told yet. */
  readable(): boolean {
    if (this.gone || this.socket.destroyed) return false;
    return this.socket.readableLength > 0 || this.#libc.poll(this.#fd, POLL.in, 0) !== 0;
  }
}

/** Children not reaped yet: by process id, what to tell. */
const running = new Map<number, (status: number) => void>();
let stopWatching: (() => void) | undefined;

/** To be called before a program is started: it may end before the next statement. */
function watchChildren(libc: Libc): void {
  if (stopWatching) return;
  const look = () => reap(libc);
  Deno.addSignalListener("SIGCHLD", look);
  stopWatching = () => {
    Deno.removeSignalListener("SIGCHLD", look);
    stopWatching = undefined;
  };
}

function reap(libc: Libc): void {
  for (const [pid, tell] of running) {
    const status = libc.reap(pid);
    if (status === undefined) continue;
    running.delete(pid);
    tell(status);
  }
  if (running.size === 0) stopWatching?.();
}

/** See `Runtime.spawn` and `DELAYED_FD`; `path` is the program's. */
export function spawnDelayed(libc: Libc, path: string, { command, env }: SpawnOptions): Program {
  const mine: number[] = [];
  const theirs: number[] = [];
  const close = (fds: number[]) => fds.forEach((fd) => libc.close(fd));
  /** A pipe, one end for the program, the other for us. */
  const pipe = (reads: "program" | "server") => {
    const [read, write] = libc.pipe();
    theirs.push(reads === "program" ? read : write);
    mine.push(reads === "program" ? write : read);
  };
  let pid: number;
  try {
    pipe("program");
    pipe("server");
    const [ours, control] = libc.socketpair("stream");
    mine.push(ours);
    theirs.push(control);
    mine.push(libc.dup(ours)); // each direction has its own end
    pipe("program");
    pipe("server");
    const [zero, one, ...more] = theirs as [number, number, ...number[]];
    watchChildren(libc);
    pid = libc.spawn(path, command, env, [zero, one, 2, ...more]);
  } catch (error) {
    close(mine);
    reap(libc); // watches on only for others
    throw error;
  } finally {
    close(theirs);
  }
  const exited = new Promise<number>((resolve) => running.set(pid, resolve));
  const [input, output, controlInput, controlOutput, tlsInput, tlsOutput] = mine.map((fd, i) =>
    new DescriptorStream(libc, fd, [1, 2, 5].includes(i) ? "read" : "write")
  ) as Six<DescriptorStream>;
  return {
    pid,
    input,
    output,
    exited,
    kill(signal) {
      if (!running.has(pid)) return false;
      libc.kill(pid, constants.signals[signal]);
      return true;
    },
    delayed: {
      controlInput,
      controlOutput,
      tlsInput,
      tlsOutput,
      controlReadable: () => controlInput.readable(),
      outputReadable: () => output.readable(),
    },
  };
}

type Six<T> = [T, T, T, T, T, T];
