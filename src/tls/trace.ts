/** --trace: logs the part of each connection that is in the clear: handshake messages, alerts, and
 *  the types and lengths of encrypted records. Loaded only with the option, because its tables of
 *  names are large. */

import { TlsConversation, type TlsSide } from "../codec/tls/conversation.ts";
import { dumpLines, eventLines } from "../codec/tls/format.ts";
import type { Connection } from "../connection.ts";
import { reason } from "../errors.ts";
import type { Log } from "../log.ts";
import type { TlsTap } from "../runtime/tap.ts";

/** Makes the tap of a connection, once per connection. */
export type Trace = (conn: Connection) => TlsTap;

/** Writes traces to `log`. `dump`: also every byte, as it is on the network (--trace-bytes). */
export function traceTo(log: Pick<Log, "trace" | "error">, dump: boolean): Trace {
  return (conn) => {
    const conversation = new TlsConversation((event) => log.trace(conn, eventLines(event)));
    const feed = (from: TlsSide, bytes: Uint8Array): void => {
      try {
        if (dump) log.trace(conn, dumpOf(from, bytes));
        conversation.feed(from, bytes);
      } catch (error) {
        log.error(`unable to trace a connection: ${reason(error)}`); // the connection goes on
      }
    };
    return {
      received: (bytes) => feed("client", bytes),
      sent: (bytes) => feed("server", bytes),
    };
  };
}

function dumpOf(from: TlsSide, bytes: Uint8Array): string[] {
  const heading = `${from === "client" ? "received" : "sent"} ${bytes.length} bytes`;
  return [heading, ...dumpLines(bytes).map((line) => `  ${line}`)];
}
