/** Programs started and reaped by libc under Deno, with descriptors made before, and our ends of those.
 *  `Deno.Command` passes no descriptors, and what `node:child_process` passes it also hands on under
 *  other numbers, so that a closed pipe would stay open. */

import { constants } from "node:os";
import { AdoptedStream } from "./deno_adopted.ts";
import { lookUp } from "./deno_path.ts";
import type { Libc } from "./libc.ts";
import { POLL } from "./libc.ts";
import type { Launched, LaunchOptions, ProgramEnds } from "./runtime.ts";

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

/** Starts children and tells of their ends. */
export class Launcher {
  /** Children not reaped yet: by process id, what to tell. */
  readonly #running = new Map<number, (status: number) => void>();
  #watching = false;

  constructor(readonly libc: Libc) {}

  /** See `Runtime.launch`. */
  launch({ command, argv0, env, descriptors, user }: LaunchOptions): Launched {
    if (user) throw new Error("libc starts no program as somebody else");
    const [name = "", ...args] = command;
    const path = lookUp(name);
    this.#watch(); // before: it may end before the next statement
    let pid: number;
    try {
      pid = this.libc.spawn(path, [argv0 ?? name, ...args], env, descriptors);
    } catch (error) {
      this.#reap(); // watches on only for others
      throw error;
    }
    const exited = new Promise<number>((resolve) => this.#running.set(pid, resolve));
    return {
      pid,
      exited,
      kill: (signal) => {
        if (!this.#running.has(pid)) return false;
        this.libc.kill(pid, constants.signals[signal]);
        return true;
      },
    };
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    Deno.addSignalListener("SIGCHLD", this.#reap);
  }

  readonly #reap = (): void => {
    for (const [pid, tell] of this.#running) {
      const status = this.libc.reap(pid);
      if (status === undefined) continue;
      this.#running.delete(pid);
      tell(status);
    }
    if (this.#running.size > 0 || !this.#watching) return;
    this.#watching = false;
    Deno.removeSignalListener("SIGCHLD", this.#reap);
  };
}

/** See `Runtime.adoptEnds`. */
export function adoptEnds(libc: Libc, fds: readonly number[]): ProgramEnds {
  const [inputFd, outputFd, control, tlsInput, tlsOutput] = fds as [number, number, ...number[]];
  const stream = (fd: number | undefined, direction: "read" | "write"): DescriptorStream =>
    new DescriptorStream(libc, fd as number, direction);
  const output = stream(outputFd, "read");
  const ends = { input: stream(inputFd, "write"), output };
  if (control === undefined) return ends;
  // Each direction of the control socket has its own end.
  const controlOutput = stream(libc.dup(control), "write");
  const controlInput = stream(control, "read");
  return {
    ...ends,
    delayed: {
      controlInput,
      controlOutput,
      tlsInput: stream(tlsInput, "write"),
      tlsOutput: stream(tlsOutput, "read"),
      controlReadable: () => controlInput.readable(),
      outputReadable: () => output.readable(),
    },
  };
}
