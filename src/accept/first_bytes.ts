/** Reads the first bytes of a client, or of a proxy before it: the PROXY header and the
 *  ClientHello. Each must be complete before the next stage gets the connection. */

import { concat } from "../codec/bytes.ts";
import type { Connection } from "../connection.ts";
import type { Reason } from "../reason.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NO_HANDLER, type StreamHandler } from "../runtime/stream.ts";

const NOTHING = new Uint8Array(0);

/** Reads until `isComplete` returns true, then pauses the socket and resolves with all bytes
 *  received. `begin`: bytes read earlier. Rejects with `HandshakeError` if the client disconnects
 *  or the connection is given up, and with any error of `isComplete`. */
export function firstBytes(
  conn: Connection,
  isComplete: (bytes: Uint8Array) => boolean,
  begin: Uint8Array = NOTHING,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    new FirstBytes(conn, isComplete, resolve, reject).begin(begin);
  });
}

class FirstBytes implements StreamHandler {
  constructor(
    readonly conn: Connection,
    readonly isComplete: (bytes: Uint8Array) => boolean,
    readonly resolve: (bytes: Uint8Array) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  begin(bytes: Uint8Array): void {
    const { conn } = this;
    conn.earlyBytes = bytes;
    if (conn.givenUp !== undefined) return this.#givenUp(conn.givenUp);
    if (bytes.length > 0 && this.#check()) return;
    conn.socket.take(this);
    conn.socket.resume();
  }

  /** See `StreamHandler`. */
  data(chunk: Uint8Array): void {
    const { conn } = this;
    conn.earlyBytes = conn.earlyBytes.length === 0 ? chunk : concat([conn.earlyBytes, chunk]);
    this.#check();
  }

  /** See `StreamHandler`. */
  end(): void {
    this.#clientGone("closed");
  }

  /** See `StreamHandler`. */
  close(error?: Error): void {
    const { givenUp } = this.conn;
    if (givenUp === undefined) this.#clientGone(error ? "reset" : "closed");
    else this.#givenUp(givenUp);
  }

  /** True if nothing more is to be read. */
  #check(): boolean {
    const { conn } = this;
    const bytes = conn.earlyBytes;
    try {
      if (!this.isComplete(bytes)) return false;
      conn.socket.hold();
      conn.earlyBytes = NOTHING;
      conn.socket.take(conn);
      this.resolve(bytes);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  #clientGone(how: "reset" | "closed"): void {
    const sent = this.conn.earlyBytes.length;
    this.#fail(new HandshakeError({ kind: "client gone", how, sent }));
  }

  #givenUp(why: Reason): void {
    const silent = why.kind === "client gone" && this.conn.earlyBytes.length === 0;
    this.#fail(new HandshakeError(silent ? { ...why, sent: 0 } : why));
  }

  #fail(error: unknown): void {
    this.conn.earlyBytes = NOTHING;
    this.conn.socket.take(NO_HANDLER); // the socket is closed, or the caller will close it
    this.reject(error);
  }
}
