/** The record of one connection. Each stage reads what earlier stages found and adds its own. */

import type { Hold } from "./admit/limits.ts";
import { NO_WATCH, type Watch } from "./metrics/observer.ts";
import type { Address, Socket } from "./runtime/runtime.ts";

/** One end, with the name that DNS or -l gave it. */
export interface Peer extends Address {
  host?: string | undefined;
}

export interface Connection {
  readonly socket: Socket;
  readonly local: Peer;
  readonly remote: Peer & { info?: string | undefined };
  /** Interface of an IPv6 connection, by name, where it is known (-I). */
  interface: string | undefined;
  /** The proxy that sent a header, and what else the header said, as variables. `own`: it speaks
   *  for itself. */
  proxy?: Address & { variables: ReadonlyMap<string, string>; own: boolean };
  /** What the rules set: goes over the environment, for TLS settings and program alike. */
  readonly variables: Map<string, string>;
  /** Its place in the counts by address; set by admission, given back when it ends. */
  hold?: Hold;
  /** Aborted when the server gives the connection up before its program runs: `reason` is text. */
  readonly abort: AbortController;
  /** Is told what becomes of it (--metrics). */
  readonly watch: Watch;
}

/** Stage 0: what the socket itself tells. */
export function describe(
  socket: Socket,
  options: { localName: string | undefined; interface: string | undefined },
  watch: Watch = NO_WATCH,
): Connection {
  const conn: Connection = {
    socket,
    local: { ...socket.local, host: options.localName },
    remote: { ...socket.remote },
    interface: socket.remote.ip.includes(":") ? options.interface : undefined,
    variables: new Map(),
    abort: new AbortController(),
    watch,
  };
  // Stages that wait for the client put their own in place. While names are looked up nobody does:
  // a client that has gone must not go on counting, nor be asked about.
  socket.onClose = (error) => giveUp(conn, `connection ${error ? "reset" : "closed"} by the peer`);
  return conn;
}

/** Gives up a connection that has no program yet. */
export function giveUp(conn: Connection, why: string): void {
  conn.abort.abort(why);
  conn.socket.destroy();
}
