/** The program's ends of pipes that were made ahead for one worker (PREPARE, PIPES). The worker
 *  names them by number. It passes no descriptor itself, so that the monitor never holds an open
 *  file that a worker has chosen. */

import { DecodeError } from "../../codec/bytes.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import { AHEAD, closeAll, programPipes } from "../../runtime/program_pipes.ts";

export class PreparedPipes {
  /** By number, in increasing order. */
  readonly #ends = new Map<number, number[]>();
  #last = 0;

  constructor(readonly libc: Libc) {}

  /** Makes pipes for several programs. Returns the number of the first, and the worker's ends in
   *  pairs; none if there is no descriptor left. */
  make(): { first: number; mine: number[] } {
    const first = this.#last + 1;
    const mine: number[] = [];
    try {
      for (let n = 0; n < AHEAD.batch; n++) {
        const made = programPipes(this.libc, false);
        this.#ends.set(++this.#last, made.theirs);
        mine.push(...made.mine);
      }
    } catch {
      // Fewer, or none: the worker asks for others with START.
    }
    for (const number of this.#ends.keys()) {
      if (this.#ends.size <= AHEAD.kept) break;
      closeAll(this.libc, this.take(number));
    }
    return { first, mine };
  }

  /** Returns the program's ends, which the caller closes. Throws `DecodeError` for a number that was
   *  not sent, or was taken before. */
  take(number: number): number[] {
    const ends = this.#ends.get(number);
    if (!ends) throw new DecodeError(`privsep: pipes: ${number} at byte 0`);
    this.#ends.delete(number);
    return ends;
  }

  close(): void {
    for (const ends of this.#ends.values()) closeAll(this.libc, ends);
    this.#ends.clear();
  }
}
