/** Stage 6: what log and counts are told of a connection that fails, or whose client breaks it off. */

import type { Connection } from "../connection.ts";
import type { Log } from "../log.ts";
import { isHealthCheck } from "../accept/proxy.ts";
import type { ClientEvents } from "./relay.ts";
import { breakOf, reasonOf, saidNothing, type StreamReason } from "../reason.ts";
import { HandshakeError, type TlsError } from "../runtime/runtime.ts";

/** What a report needs beyond the connection. */
export interface ReportDeps {
  log: Log;
  gate: { leave(conn: Connection): void };
}

/** Tells why a connection failed. `pid` is the program's where there is one. */
export function report(conn: Connection, deps: ReportDeps, pid: number, error: unknown): void {
  const { log } = deps;
  const reason = reasonOf(error);
  if (isHealthCheck(conn, reason)) return;
  const handshake = error instanceof HandshakeError;
  conn.watch.failed(reason, handshake);
  if (reason.kind === "broken") reportBroken(conn, deps, pid, reason.cause);
  else if (handshake) {
    // Where a program runs already (-n) its client has spoken in the clear.
    log.tlsFailed(pid, conn.remote.ip, reason, saidNothing(reason) && !conn.program);
  } else log.connectionFailed(conn.remote.ip, reason);
}

/** How the client of a running program ends, for the log and the counts. */
export class ClientWatch implements ClientEvents {
  constructor(readonly conn: Connection, readonly pid: number, readonly deps: ReportDeps) {}

  broken(error: TlsError): void {
    reportBroken(this.conn, this.deps, this.pid, error.cause);
  }

  cut(): void {
    this.conn.watch.broken("no_close_notify");
    this.deps.log.noCloseNotify(this.pid, this.conn.remote.ip);
  }

  gone(): void {
    leave(this.conn, this.deps);
  }
}

function reportBroken(
  { watch, remote }: Connection,
  { log }: ReportDeps,
  pid: number,
  cause: StreamReason,
): void {
  watch.broken(breakOf(cause));
  log.tlsBroken(pid, remote.ip, cause);
}

/** Its socket is closed: it no longer counts for any limit. Idempotent. */
export function leave(conn: Connection, { gate }: ReportDeps): void {
  gate.leave(conn);
  conn.hold?.release();
}
