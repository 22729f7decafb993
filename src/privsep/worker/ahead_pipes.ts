/** The worker's ends of pipes that the monitor has made ahead (PREPARE, PIPES). With them, a program
 *  is asked for by RUN, and its connection relays without waiting for the monitor. */

import type { Options } from "../../config/options.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { LostDescriptors } from "../../runtime/libc/pass.ts";
import { AHEAD, closeAll } from "../../runtime/program_pipes.ts";
import type { ToMonitor } from "../channel.ts";
import type { MessageOf } from "../messages.ts";

/** Our ends of the pipes of one program that does not run yet. */
export interface Ahead {
  readonly number: number;
  readonly fds: readonly number[];
}

export class AheadPipes {
  readonly #ready: Ahead[] = [];
  #asked = false;

  constructor(readonly channel: ToMonitor) {
    this.#ask();
  }

  /** Returns the oldest ones; undefined if there are none. The caller closes the descriptors. */
  take(): Ahead | undefined {
    const ahead = this.#ready.shift();
    if (this.#ready.length <= AHEAD.low) this.#ask();
    return ahead;
  }

  /** PIPES. Throws `DecodeError`. */
  came({ first, count }: MessageOf<"PIPES">): void {
    this.#asked = false;
    try {
      const fds = this.channel.descriptors(2 * count);
      for (let n = 0; n < count; n++) {
        this.#ready.push({ number: first + n, fds: fds.slice(2 * n, 2 * n + 2) });
      }
    } catch (error) {
      if (!(error instanceof LostDescriptors)) throw error; // later starts do without, or ask again
    }
  }

  close(): void {
    for (const { fds } of this.#ready.splice(0)) closeAll(this.channel.libc, fds);
  }

  #ask(): void {
    if (this.#asked || !this.channel.open) return;
    this.#asked = true;
    this.channel.send({ kind: "PREPARE" });
  }
}

/** True if connections need not wait until their program runs: nothing is sent to the client before the
 *  program's output, and neither the log nor the metrics tell when it starts. */
export function startsAhead(
  { verbosity, metrics, delayed, handler, banner }: Options,
  libc: Libc,
): boolean {
  return verbosity < 2 && !metrics && !delayed && !handler && !banner &&
    libc.raiseFileLimit().soft >= AHEAD.leastLimit;
}
