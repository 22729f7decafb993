/** The protocol between a UCSPI-TLS program and the server (S. Gifford's ucspi-tls;
 *  docs/specification.md#ucspi-tls): finds a ClientHello that arrived early in the plaintext, and
 *  encodes the answer to `Y`. Pure: no I/O. */

import { concat } from "./bytes.ts";

/** Maximum bytes remembered. With a longer ClientHello the handshake fails, because the rest is
 *  missing. RFC 8446 allows 2^24 bytes; real ones have 200 to 2,000. */
const MAX_REMEMBERED = 65_536;

/** RFC 8446 5.1: content type handshake, legacy version 3.x. */
const HANDSHAKE = 22;
const MAJOR = 3;

/** Remembers the client's plaintext that went to the program, as far as it can be a ClientHello. */
export class Tap {
  /** Data since the program's last output (`#current`), and between its last two outputs
   *  (`#previous`). */
  #current: Uint8Array[] = [];
  #previous: Uint8Array[] = [];
  #size = 0;

  fromClient(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#size <= MAX_REMEMBERED) this.#current.push(chunk);
  }

  fromProgram(): void {
    if (this.#current.length === 0) return;
    this.#previous = this.#current;
    this.#current = [];
    this.#size = 0;
  }

  /** Returns a ClientHello that arrived after the program's last output, or whose beginning arrived
   *  before it, together with the client's command. Empty if there is none. Forgets all data. */
  hello(): Uint8Array {
    const [previous, current] = [this.#previous, this.#current];
    this.#previous = []; // frees the memory: a connection may last for hours
    this.#current = [];
    const border = previous.reduce((sum, chunk) => sum + chunk.length, 0);
    return helloIn(concat([...previous, ...current]), border);
  }
}

/** Returns the rest of `bytes` from the start of a possible ClientHello: at the beginning, at
 *  `border` or after a newline. */
function helloIn(bytes: Uint8Array, border: number): Uint8Array {
  for (let at = 0; at < bytes.length; at++) {
    const newLine = at === 0 || at === border || bytes[at - 1] === 0x0a;
    const major = bytes[at + 1] ?? MAJOR;
    if (newLine && bytes[at] === HANDSHAKE && major === MAJOR) return bytes.subarray(at);
  }
  return new Uint8Array(0);
}

/** `NAME=value`, NUL, for each variable, and one more NUL (ucspi-tls(2)). */
export function environmentMessage(variables: Iterable<[string, string]>): Uint8Array {
  let text = "";
  for (const [name, value] of variables) text += `${name}=${value.replaceAll("\0", "?")}\0`;
  return new TextEncoder().encode(`${text}\0`);
}
