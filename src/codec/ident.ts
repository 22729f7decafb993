/** The identification protocol (RFC 1413): the request, and what of the reply is believed. Pure: no
 *  I/O. The reply comes from whoever holds port 113 of the peer: it is cut and cleaned here, so that
 *  no control byte, no blank and no long text reaches an environment, a rule or the log. */

import { DecodeError, fromLatin1 } from "./bytes.ts";

/** RFC 1413 4: a client may give up after 1,000 characters without an end of line; one that goes on
 *  can be fed for ever. */
const MAX_LINE = 1000;
/** Characters kept of the user id, as tcpserver keeps (RFC 1413 4 allows 512). */
const MAX_INFO = 257;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** Asks who owns the connection from `remotePort` over there to `localPort` over here. */
export function identRequest(remotePort: number, localPort: number): Uint8Array<ArrayBuffer> {
  for (const port of [remotePort, localPort]) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new DecodeError("ident: port: not from 1 to 65535 at byte 0");
    }
  }
  return fromLatin1(`${remotePort} , ${localPort}\r\n`);
}

/** Takes a reply as it arrives, in pieces of any size, in constant memory. */
export class IdentReply {
  #read = 0;
  #colons = 0;
  #kind = "";
  #text = "";
  #ended = false;

  /** Reads on. True when the reply is complete, or cannot become one. */
  push(bytes: Uint8Array): boolean {
    for (const byte of bytes) {
      if (this.#ended) break;
      this.#take(byte);
    }
    return this.#ended;
  }

  /** The user id; undefined before its line has ended, and for a reply that names none. */
  get info(): string | undefined {
    const named = this.#ended && this.#colons === 3 && this.#kind.toLowerCase() === "userid";
    return named && this.#text !== "" ? this.#text : undefined;
  }

  #take(byte: number): void {
    if (byte === NEWLINE) {
      this.#ended = true;
    } else if (++this.#read > MAX_LINE) {
      this.#ended = true;
      this.#colons = 0;
    } else if (byte === SPACE || byte === TAB || byte === RETURN) {
      // tcpserver drops blanks wherever they stand.
    } else if (this.#colons < 3) {
      if (byte === COLON) this.#colons++;
      else if (this.#colons === 1) this.#kind += String.fromCharCode(byte);
    } else {
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    // A NUL ends the text, as it does in the C string that tcpserver makes of it.
    if (byte !== 0) this.#text += byte > SPACE && byte < 0x7f ? String.fromCharCode(byte) : "?";
    if (byte === 0 || this.#text.length === MAX_INFO) this.#ended = true;
  }
}
