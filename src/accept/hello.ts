/** Reads the complete ClientHello of a connection before TLS begins. Also checks whether it has
 *  arrived but is not read yet (for gate.ts). */

import { concat } from "../codec/bytes.ts";
import { gatherHello } from "../codec/client_hello.ts";
import { decodeProxy } from "../codec/proxy/proxy.ts";
import type { Connection } from "../connection.ts";
import { firstBytes } from "./first_bytes.ts";

/** Bytes of a record's header. With fewer bytes the TLS library, too, waits for more. */
const RECORD_HEADER = 5;

/** Waits for the records of a ClientHello, then pauses the socket. Other bytes are returned
 *  unchanged: the TLS library refuses them with the proper alert. Rejects with `HandshakeError`
 *  if the client disconnects or the connection is given up. `begin` are bytes read earlier. */
export function readHello(conn: Connection, begin?: Uint8Array): Promise<Uint8Array> {
  return firstBytes(conn, complete, begin);
}

/** True if the ClientHello is complete, or the bytes cannot become one. */
function complete(bytes: Uint8Array): boolean {
  const { is } = gatherHello(bytes);
  return is === "whole" || (is === "other" && bytes.length >= RECORD_HEADER);
}

/** True if the ClientHello is complete, including unread bytes in the socket. Never throws. */
export function isHelloComplete(conn: Connection): boolean {
  const bytes = concat([conn.earlyBytes, conn.socket.unread()]);
  try {
    const header = conn.awaitsHeader ? decodeProxy(bytes)?.length : 0;
    return header !== undefined && complete(bytes.subarray(header));
  } catch {
    return true; // not a PROXY header: the connection is refused when it is read
  }
}
