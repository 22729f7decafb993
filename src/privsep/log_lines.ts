/** What a worker writes to its stderr, made fit for ours: whole lines of printable ASCII, none of them
 *  endless. A worker is believed nothing. */

import { printable } from "../codec/printable.ts";

/** Longest line, in bytes. */
const MAX_LINE = 8192;
const NEWLINE = 10;

export class LogLines {
  /** The beginning of a line whose end has not come. */
  #open = "";
  /** The rest of this line is left out. */
  #tooLong = false;

  /** The whole lines in what has come so far, each with its newline. */
  push(chunk: Uint8Array): string {
    let lines = "";
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(NEWLINE, at);
      this.#append(chunk.subarray(at, end < 0 ? chunk.length : end));
      if (end < 0) break;
      lines += `${this.#open}\n`;
      this.#open = "";
      this.#tooLong = false;
      at = end + 1;
    }
    return lines;
  }

  /** The line that has no end, if there is one. */
  end(): string {
    const last = this.#open;
    this.#open = "";
    return last === "" ? "" : `${last}\n`;
  }

  #append(part: Uint8Array): void {
    if (this.#tooLong) return;
    const room = MAX_LINE - this.#open.length;
    this.#open += printable(DECODER.decode(part.subarray(0, room)));
    if (part.length <= room) return;
    this.#open += "...";
    this.#tooLong = true;
  }
}

const DECODER = new TextDecoder("latin1");
