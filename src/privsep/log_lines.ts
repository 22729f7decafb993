/** Makes what a worker writes to its stderr safe for the server's stderr: whole lines of printable
 *  ASCII, with a maximum length. A worker is not trusted. */

import { printable } from "../codec/printable.ts";

/** Longest line, in bytes. */
const MAX_LINE = 8192;
const NEWLINE = 10;

export class LogLines {
  /** The beginning of a line that is not complete yet. */
  #open = "";
  /** True while the rest of a line that is too long is skipped. */
  #tooLong = false;

  /** Returns the lines that `chunk` completes, each with its newline. */
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

  /** Returns the last line if it lacks a newline, with one added; otherwise an empty text. */
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
