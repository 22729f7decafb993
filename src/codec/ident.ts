/** The identification protocol (RFC 1413): encodes the request and parses the reply. Pure: no
 *  I/O. The reply is untrusted: the process that holds port 113 of the peer sends it. It is cut
 *  and cleaned here, so that no control byte, blank or long text reaches an environment, a rule
 *  or the log. */

import { DecodeError, fromLatin1 } from "./bytes.ts";

/** RFC 1413 4: a client may give up after 1,000 characters without an end of line. Without a limit,
 *  a server could keep sending for ever. */
const MAX_LINE = 1000;
/** Characters kept of the user id, as in tcpserver (RFC 1413 4 allows 512). */
const MAX_INFO = 257;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** Encodes the question who owns the connection from the peer's `remotePort` to our `localPort`. */
export function identRequest(remotePort: number, localPort: number): Uint8Array<ArrayBuffer> {
  for (const port of [remotePort, localPort]) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new DecodeError("ident: port: not from 1 to 65535 at byte 0");
    }
  }
  return fromLatin1(`${remotePort} , ${localPort}\r\n`);
}

/** Parses a reply that arrives in pieces of any size, in constant memory. */
export class IdentReply {
  #read = 0;
  #colons = 0;
  #kind = "";
  #text = "";
  #ended = false;

  /** Parses the next piece. True if the reply is complete, or cannot become a valid one. */
  push(bytes: Uint8Array): boolean {
    for (const byte of bytes) {
      if (this.#ended) break;
      this.#take(byte);
    }
    return this.#ended;
  }

  /** The user id. Undefined until the reply is complete, and for a reply without one. */
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
      // As in tcpserver, blanks are dropped everywhere.
    } else if (this.#colons < 3) {
      if (byte === COLON) this.#colons++;
      else if (this.#colons === 1) this.#kind += String.fromCharCode(byte);
    } else {
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    // A NUL ends the text, as in tcpserver, which stores the text as a C string.
    if (byte !== 0) this.#text += byte > SPACE && byte < 0x7f ? String.fromCharCode(byte) : "?";
    if (byte === 0 || this.#text.length === MAX_INFO) this.#ended = true;
  }
}
