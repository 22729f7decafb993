/** Reads the first bytes of a client, or of a proxy before it: the PROXY header and the
 *  ClientHello. Each must be complete before the next stage gets the connection. */

import { concat } from "../codec/bytes.ts";
import type { Connection } from "../connection.ts";
import type { Reason } from "../reason.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NO_HANDLER } from "../runtime/stream.ts";

const NOTHING = new Uint8Array(0);

/** Reads until `isComplete` returns true, then pauses the socket and resolves with all bytes
 *  received. `begin`: bytes read earlier. Rejects with `HandshakeError` if the client disconnects
 *  or the connection is given up, and with any error of `isComplete`. */
export function firstBytes(
  conn: Connection,
  isComplete: (bytes: Uint8Array) => boolean,
  begin: Uint8Array = NOTHING,
): Promise<Uint8Array> {
  const { socket } = conn;
  return new Promise((resolve, reject) => {
    let bytes = begin;
    const fail = (error: unknown): void => {
      conn.earlyBytes = NOTHING;
      socket.take(NO_HANDLER); // the socket is closed, or the caller will close it
      reject(error);
    };
    const clientGone = (error?: Error): void => {
      const how = error ? "reset" : "closed";
      fail(new HandshakeError({ kind: "client gone", how, sent: bytes.length }));
    };
    const givenUp = (why: Reason): void => {
      const silent = why.kind === "client gone" && bytes.length === 0;
      fail(new HandshakeError(silent ? { ...why, sent: 0 } : why));
    };
    const check = (): boolean => {
      try {
        if (!isComplete(bytes)) return false;
        socket.hold();
        conn.earlyBytes = NOTHING;
        socket.take(conn);
        resolve(bytes);
      } catch (error) {
        fail(error);
      }
      return true;
    };
    if (conn.givenUp !== undefined) return givenUp(conn.givenUp);
    if (bytes.length > 0 && check()) return;
    conn.earlyBytes = bytes;
    socket.take({
      data(chunk) {
        bytes = bytes.length === 0 ? chunk : concat([bytes, chunk]);
        conn.earlyBytes = bytes;
        check();
      },
      end: () => clientGone(),
      close: (error) => conn.givenUp === undefined ? clientGone(error) : givenUp(conn.givenUp),
    });
    socket.resume();
  });
}
