/** What passes between a UCSPI-TLS program and the server (S. Gifford's ucspi-tls;
 *  docs/specification.md#ucspi-tls): the plaintext in which a ClientHello may have come too
 *  early, and the answer to `Y`. Pure: no I/O. */

import { concat } from "./bytes.ts";

/** A ClientHello that is longer is not remembered whole, and the handshake fails. RFC 8446 allows
 *  2^24; real ones have 200 to 2,000 bytes. */
const MAX_REMEMBERED = 65_536;

/** RFC 8446 5.1: content type handshake, legacy version 3.x. */
const HANDSHAKE = 22;
const MAJOR = 3;

/** Remembers what went to the program, as far as it could be a ClientHello. */
export class Tap {
  /** Since the program's last output, and between its last output and the one before. */
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

  /** A ClientHello that came after the program's last output; or one of which the client had sent at
   *  least the beginning in one go with the command before it, ahead of the answer. Nothing is
   *  remembered afterwards. */
  hello(): Uint8Array {
    const [previous, current] = [this.#previous, this.#current];
    this.#previous = []; // a connection may live on for hours
    this.#current = [];
    const border = previous.reduce((sum, chunk) => sum + chunk.length, 0);
    return helloIn(concat([...previous, ...current]), border);
  }
}

/** What begins like a ClientHello: at the beginning, at `border`, or after the end of a line. */
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
