/** Reads what a client, or a proxy before it, sends first. For the PROXY header and the ClientHello:
 *  both must be seen whole before the connection can be given to anything else. */

import { concat } from "../codec/bytes.ts";
import type { Connection } from "../connection.ts";
import type { Reason } from "../reason.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import { NO_HANDLER } from "../runtime/stream.ts";

const NOTHING = new Uint8Array(0);

/** Reads until `enough`, then pauses the socket and resolves with all that came. `begin` was read
 *  before. Rejects with `HandshakeError` when the client goes or the connection is given up, and with
 *  what `enough` throws. */
export function firstBytes(
  conn: Connection,
  enough: (bytes: Uint8Array) => boolean,
  begin: Uint8Array = NOTHING,
): Promise<Uint8Array> {
  const { socket } = conn;
  return new Promise((resolve, reject) => {
    let bytes = begin;
    const fail = (error: unknown): void => {
      conn.begun = NOTHING;
      socket.take(NO_HANDLER); // it is closed, or will be
      reject(error);
    };
    const gone = (error?: Error): void => {
      const how = error ? "reset" : "closed";
      fail(new HandshakeError({ kind: "client gone", how, sent: bytes.length }));
    };
    const abandoned = (why: Reason): void => {
      const silent = why.kind === "client gone" && bytes.length === 0;
      fail(new HandshakeError(silent ? { ...why, sent: 0 } : why));
    };
    const look = (): boolean => {
      try {
        if (!enough(bytes)) return false;
        socket.hold();
        conn.begun = NOTHING;
        socket.take(conn);
        resolve(bytes);
      } catch (error) {
        fail(error);
      }
      return true;
    };
    if (conn.givenUp !== undefined) return abandoned(conn.givenUp);
    if (bytes.length > 0 && look()) return;
    conn.begun = bytes;
    socket.take({
      data(chunk) {
        bytes = bytes.length === 0 ? chunk : concat([bytes, chunk]);
        conn.begun = bytes;
        look();
      },
      end: () => gone(),
      close: (error) => conn.givenUp === undefined ? gone(error) : abandoned(conn.givenUp),
    });
    socket.resume();
  });
}
