/** Converts line ends in a stream of bytes: LF to CR LF, as network protocols need it, and back.
 *  Pure: no I/O. Chunks can end anywhere, even between CR and LF. */

const CR = 0x0d;
const LF = 0x0a;

/** Adds a CR before each LF that has none. */
export class CrAdder {
  #afterCr = false;

  /** Returns the chunk with its line ends changed. May return the chunk itself. */
  push(chunk: Uint8Array): Uint8Array {
    const bare: number[] = [];
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      const cr = at === 0 ? this.#afterCr : chunk[at - 1] === CR;
      if (!cr) bare.push(at);
    }
    if (chunk.length > 0) this.#afterCr = chunk.at(-1) === CR;
    if (bare.length === 0) return chunk;
    const out = new Uint8Array(chunk.length + bare.length);
    let from = 0;
    for (const [i, at] of bare.entries()) {
      out.set(chunk.subarray(from, at), from + i);
      out[at + i] = CR;
      from = at;
    }
    out.set(chunk.subarray(from), from + bare.length);
    return out;
  }
}

/** Removes one CR before each LF. */
export class CrRemover {
  /** True if the last chunk ended with a CR, which has not been returned yet. */
  #held = false;

  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    const out = new Uint8Array(chunk.length + 1);
    let size = 0;
    if (this.#held && chunk[0] !== LF) out[size++] = CR;
    this.#held = chunk.at(-1) === CR;
    const end = this.#held ? chunk.length - 1 : chunk.length;
    for (let from = 0; from < end;) {
      let at = chunk.indexOf(CR, from);
      while (at >= 0 && at < end && chunk[at + 1] !== LF) at = chunk.indexOf(CR, at + 1);
      const to = at < 0 || at > end ? end : at;
      out.set(chunk.subarray(from, to), size);
      size += to - from;
      from = to === at ? at + 1 : to;
    }
    return out.subarray(0, size);
  }

  /** Returns the rest at the end of the data: a CR that no LF followed. */
  end(): Uint8Array {
    const rest = this.#held ? Uint8Array.of(CR) : new Uint8Array();
    this.#held = false;
    return rest;
  }
}
