/** Stage 6: the log lines of each connection: its program, and how it ends. */

import process from "node:process";
import { isHealthCheck } from "../accept/proxy.ts";
import type {
  Connection,
  ConnectionEnd,
  ConnectionObserver,
  RunningProgram,
  Stage,
} from "../connection.ts";
import type { Options } from "../config/options.ts";
import type { Log } from "../log.ts";
import { isDenial, reasonOf, RESET_AT_ACCEPT, sentNothing } from "../reason.ts";
import { HandshakeError } from "../runtime/runtime.ts";
import type { Programs } from "./programs.ts";

/** What a report needs beyond the connection. */
export interface ReportServices {
  log: Log;
  options: Pick<Options, "concurrency" | "proxyFrom">;
  programs: Pick<Programs, "running">;
  /** MAXCONIP of the server's environment, for the status line. */
  admission: { readonly limits: { readonly perAddress?: number | undefined } };
  metrics: { lost(failed: boolean): void };
}

/** Tells the observers of an error that a stage has thrown, except for a proxy's health check. */
export function report(conn: Connection, error: unknown): void {
  const reason = reasonOf(error);
  if (isHealthCheck(conn, reason)) return;
  conn.fail(reason, error instanceof HandshakeError ? "handshake" : conn.stage);
}

/** Reports a connection that was reset before its peer address could be read. With --proxy-from it
 *  is not reported: a proxy's health check does this every two seconds. */
export function reportLost({ log, metrics, options }: ReportServices): void {
  const failed = !options.proxyFrom;
  metrics.lost(failed);
  if (failed) log.tlsFailed(process.pid, "unknown", RESET_AT_ACCEPT, true);
}

export class Reporter implements ConnectionObserver {
  constructor(readonly services: ReportServices) {}

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Stage): void {
    const { program, stage } = conn;
    if (stage !== "conversing" || before !== "starting" || !program) return;
    this.#status(program.running);
    this.services.log.pid(program.pid, conn, this.#perAddress);
    this.services.log.ok(program.pid, conn);
  }

  /** See `ConnectionObserver`. */
  failed(conn: Connection, { reason, stage }: ConnectionEnd): void {
    const { log } = this.services;
    const { program, remote: { ip } } = conn;
    // Without a program, the line has the pid of the process that serves the connection.
    const pid = program?.pid ?? process.pid;
    if (isDenial(reason)) return log.deny(pid, conn, reason);
    if (reason.kind === "broken") {
      const tell = (): void => log.tlsBroken(program?.pid || process.pid, ip, reason.cause);
      const identified = program?.identified?.();
      return identified ? void identified.then(tell, tell) : tell();
    }
    const ours = reason.kind === "settings" || reason.kind === "not run" ||
      reason.kind === "internal";
    if (ours || (stage !== "hello" && stage !== "handshake")) {
      return log.connectionFailed(ip, reason);
    }
    // If a program already runs (-n), the client was not silent: it has spoken in the clear.
    log.tlsFailed(pid, ip, reason, sentNothing(reason) && !program);
  }

  /** See `ConnectionObserver`. */
  programEnded(conn: Connection, { pid }: RunningProgram, status: number | undefined): void {
    this.services.log.ended(pid, status, conn, this.#perAddress);
    this.#status();
  }

  /** How many connections one address may have. */
  get #perAddress(): number {
    const { admission, options } = this.services;
    return admission.limits.perAddress || options.concurrency;
  }

  /** Logs how many programs run, and their limit. */
  #status(running = this.services.programs.running): void {
    const { log, options, admission } = this.services;
    if (running === undefined) return;
    log.status(running, options.concurrency, admission.limits.perAddress ?? 0);
  }
}
