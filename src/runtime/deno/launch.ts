/** Programs started by libc under Deno, and our ends of their descriptors. */

import { Launcher } from "../launcher.ts";
import { type Libc, POLL } from "../libc/libc.ts";
import type { ProgramStreams } from "../runtime.ts";
import { AdoptedStream } from "./adopted.ts";

/** One direction of a descriptor of ours. */
class DescriptorStream extends AdoptedStream {
  readonly #libc: Libc;
  readonly #fd: number;

  constructor(libc: Libc, fd: number, direction: "read" | "write", kind: "pipe" | "unix") {
    super(fd, { kind, readable: direction === "read", writable: direction === "write" });
    this.#libc = libc;
    this.#fd = fd;
  }

  /** True if bytes or end of file can be read that the owner did not get yet. */
  readable(): boolean {
    if (this.gone) return false;
    return this.holds || this.#libc.poll(this.#fd, POLL.in, 0) !== 0;
  }
}

/** The launcher of this process. `Deno.Command` cannot pass descriptors. `node:child_process`
 *  passes them a second time under other numbers, so that a pipe the program closes would stay
 *  open. */
export function denoLauncher(libc: Libc): Launcher {
  return new Launcher(libc, (handler, on) => {
    if (on) Deno.addSignalListener("SIGCHLD", handler);
    else Deno.removeSignalListener("SIGCHLD", handler);
  });
}

/** See `Runtime.adoptEnds`. */
export function adoptEnds(libc: Libc, fds: readonly number[]): ProgramStreams {
  const [inputFd, outputFd, control, tlsInput, tlsOutput] = fds as [number, number, ...number[]];
  const stream = (
    fd: number | undefined,
    direction: "read" | "write",
    kind: "pipe" | "unix" = "pipe",
  ): DescriptorStream => new DescriptorStream(libc, fd as number, direction, kind);
  // Each direction of the control socket has its own descriptor. First the call that can fail: the
  // streams below close their descriptors.
  const controlWrite = control === undefined ? undefined : libc.dup(control);
  const output = stream(outputFd, "read");
  const ends = { input: stream(inputFd, "write"), output };
  if (controlWrite === undefined) return ends;
  const controlOutput = stream(controlWrite, "write", "unix");
  const controlInput = stream(control, "read", "unix");
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
