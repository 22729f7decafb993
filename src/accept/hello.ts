/** The ClientHello of a connection: read whole before TLS begins, and looked for unread when it must be
 *  known whether it has come (gate.ts). */

import { concat } from "../codec/bytes.ts";
import { gatherHello } from "../codec/client_hello.ts";
import { decodeProxy } from "../codec/proxy/proxy.ts";
import type { Connection } from "../connection.ts";
import { firstBytes } from "./first_bytes.ts";

/** A record's header: with fewer bytes the TLS library, too, waits for more. */
const RECORD_HEADER = 5;

/** Waits for the records of a ClientHello and pauses the socket. What is no handshake record is
 *  handed on as it is: the TLS library refuses it with the proper alert. Rejects with
 *  `HandshakeError` when the client goes or the connection is given up. `begin` was read before. */
export function readHello(conn: Connection, begin?: Uint8Array): Promise<Uint8Array> {
  return firstBytes(conn, complete, begin);
}

/** True when the hello is all there, or cannot become one. */
function complete(bytes: Uint8Array): boolean {
  const { is } = gatherHello(bytes);
  return is === "whole" || (is === "other" && bytes.length >= RECORD_HEADER);
}

/** True when it is complete with what nobody has read yet. Never throws. */
export function isHelloComplete(conn: Connection): boolean {
  const bytes = concat([conn.begun, conn.socket.unread()]);
  try {
    const header = conn.awaitsHeader ? decodeProxy(bytes)?.length : 0;
    return header !== undefined && complete(bytes.subarray(header));
  } catch {
    return true; // no PROXY header: it is refused as soon as it is read
  }
}
