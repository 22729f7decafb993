/** Stage 6: what log and counts are told of a connection that fails, or whose client breaks it off. */

import type { Connection } from "../connection.ts";
import type { Log } from "../log.ts";
import { reason } from "../errors.ts";
import { NothingSaid } from "../accept/first_bytes.ts";
import { isHealthCheck } from "../accept/proxy.ts";
import type { ClientEvents } from "./relay.ts";
import { HandshakeError, TlsError } from "../runtime/runtime.ts";

/** What a report needs beyond the connection. */
export interface ReportDeps {
  log: Log;
  gate: { leave(conn: Connection): void };
}

/** Tells why a connection failed. `pid` is the program's where there is one. */
export function report(conn: Connection, deps: ReportDeps, pid: number, error: unknown): void {
  const { log } = deps;
  if (isHealthCheck(conn, error)) return;
  conn.watch.failed(error);
  if (error instanceof TlsError) reportBroken(conn, deps, pid, error);
  else if (error instanceof HandshakeError) {
    // Where a program runs already (-n) its client has spoken in the clear.
    const silent = error instanceof NothingSaid && !conn.program;
    log.tlsFailed(pid, conn.remote.ip, error.message, silent);
  } else log.error(`${reason(error)} (connection from ${conn.remote.ip})`);
}

/** How the client of a running program ends, for the log and the counts. */
export class ClientWatch implements ClientEvents {
  constructor(readonly conn: Connection, readonly pid: number, readonly deps: ReportDeps) {}

  broken(error: TlsError): void {
    reportBroken(this.conn, this.deps, this.pid, error);
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
  error: TlsError,
) {
  watch.broken(error.kind);
  log.tlsBroken(pid, remote.ip, error.message);
}

/** Its socket is closed: it no longer counts for any limit. Idempotent. */
export function leave(conn: Connection, { gate }: ReportDeps): void {
  gate.leave(conn);
  conn.hold?.release();
}
