/** HTTP/1.0 for a client that prints a page (RFC 1945): the request, and where the body of the
 *  answer begins. Pure: no I/O. The answer's status and fields are not interpreted. */

import { DecodeError } from "./bytes.ts";
import { CrRemover } from "./line_ends.ts";

const LF = 0x0a;

/** Returns the request for `/page` of a host; an IPv6 address is put in brackets. Throws
 *  `DecodeError` for a text with a space or a control character, which would end or change the
 *  request. */
export function pageRequest(host: string, page: string): Uint8Array {
  for (const [what, text] of [["host", host], ["page", page]] as const) {
    // deno-lint-ignore no-control-regex
    const at = text.search(/[\x00-\x20\x7f]/);
    if (at >= 0) {
      throw new DecodeError(`http: ${what}: a space or a control character at character ${at + 1}`);
    }
  }
  const name = host.includes(":") ? `[${host.replace(/^\[|%.*$|\]$/g, "")}]` : host;
  return new TextEncoder().encode(`GET /${page} HTTP/1.0\r\nHost: ${name}\r\n\r\n`);
}

/** Finds the body of an answer, and removes the CR at its line ends. */
export class BodyReader {
  readonly #lines = new CrRemover();
  /** True at the beginning of a line of the header. */
  #lineEnded = true;
  #inBody = false;

  /** True if the body has begun: the empty line after the header was read. */
  get inBody(): boolean {
    return this.#inBody;
  }

  /** Returns the part of the chunk that belongs to the body. */
  push(chunk: Uint8Array): Uint8Array {
    return this.#bodyOf(this.#lines.push(chunk));
  }

  /** What is left at the end of the data. */
  end(): Uint8Array {
    return this.#bodyOf(this.#lines.end());
  }

  #bodyOf(lines: Uint8Array): Uint8Array {
    if (this.#inBody) return lines;
    for (const [i, byte] of lines.entries()) {
      if (byte === LF && this.#lineEnded) {
        this.#inBody = true;
        return lines.subarray(i + 1);
      }
      this.#lineEnded = byte === LF;
    }
    return lines.subarray(lines.length);
  }
}
