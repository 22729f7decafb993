/** Stage 6: one line per event on stderr. The wording of all of them lives here and nowhere else.
 *
 *  Whatever came from a peer goes through `clean`: a peer must not be able to forge a line, steer a
 *  terminal or fill a disk. */

import fs from "node:fs";
import process from "node:process";
import type { Connection, Peer } from "./connection.ts";

export type Level = "fatal" | "error" | "warning" | "info" | "status";

/** Longest piece of a peer's text in a line (SPEC 7). */
const MAX_FIELD = 100;

/** Bytes outside printable ASCII, and `%`, become `?`; cut at 100 characters. */
export function clean(text: string): string {
  return text.slice(0, MAX_FIELD).replaceAll(/[^\x20-\x24\x26-\x7e]/g, "?");
}

/** Like `clean`, for messages of the system and of libraries, which may be longer. */
function cleanMessage(text: string): string {
  return text.slice(0, 1000).replaceAll(/[^\x20-\x7e]/g, "?");
}

export interface LogOptions {
  verbosity: 0 | 1 | 2 | 3;
  form: "text" | "json";
  /** Name in front of each line. */
  name: string;
  /** Where lines go; default: stderr. */
  write?: (lines: string) => void;
  now?: () => Date;
  /** While true nothing is written. */
  muted?: () => boolean;
}

export class Log {
  readonly #write: (lines: string) => void;
  #lines: string[] = [];

  constructor(readonly options: LogOptions) {
    this.#write = options.write ?? writeStderr;
  }

  /** Goes on, but something has failed. */
  error(text: string): void {
    this.#put(1, "error", text, { event: "error" });
  }

  warning(text: string): void {
    this.#put(1, "warning", text, { event: "warning" });
  }

  /** Wanted by whoever started the server: shown unless -q. */
  notice(text: string, facts: Record<string, unknown> = {}): void {
    this.#put(1, "info", text, { event: "info", ...facts });
  }

  /** The last words before an exit; with -q the exit code alone tells. */
  fatal(text: string, hint?: string): void {
    this.#put(1, "fatal", text, { event: "fatal", ...(hint ? { hint } : {}) });
    if (hint && this.options.form === "text") this.#put(1, "info", hint, {});
    this.flush();
  }

  /** `running/limit/per-IP limit` */
  status(running: number, limit: number, perIp: number): void {
    this.#put(2, "status", `${running}/${limit}/${perIp}`, {
      event: "status",
      running,
      limit,
      perIp,
    });
  }

  pid(pid: number, conn: Connection): void {
    this.#line(
      2,
      `pid ${pid} from ${conn.remote.ip}`,
      () => ({ event: "pid", pid, ...ends(conn) }),
    );
  }

  ok(pid: number, conn: Connection): void {
    this.#line(2, `ok ${pid} ${localEnd(conn.local)} ${remoteEnd(conn)}`, () => ({
      event: "ok",
      pid,
      ...ends(conn),
    }));
  }

  /** `pid` is that of the process which refused: no program was started. */
  deny(pid: number, conn: Connection, why = ""): void {
    const text = `deny ${pid} ${localEnd(conn.local)} ${remoteEnd(conn)} ${why}`.trimEnd();
    this.#line(
      2,
      text,
      () => ({ event: "deny", pid, ...ends(conn), ...(why ? { reason: why } : {}) }),
    );
  }

  /** A limit of the server's own environment, at accept (SPEC 7). */
  connectionLimit(what: "connection" | "rate", limit: number, ip: string): void {
    this.#put(1, "warning", `ip ${what} limit of ${limit} exceeded for: ${ip}`, {
      event: "limit",
      limit,
      remoteIp: ip,
    });
  }

  tls(pid: number, protocol: string, cipher: string): void {
    this.#line(3, `tls ${pid} accept ${protocol}:${cipher}`, () => ({
      event: "tls",
      pid,
      protocol,
      cipher,
    }));
  }

  tlsFailed(pid: number, ip: string, why: string): void {
    this.#put(1, "error", `unable to accept TLS from: ${ip} for pid: ${pid} ${cleanMessage(why)}`, {
      event: "tls-failed",
      pid,
      remoteIp: ip,
      reason: cleanMessage(why),
    });
  }

  /** TLS broke after the handshake. `pid` is the program's, or that of the process which speaks. */
  tlsBroken(pid: number, ip: string, why: string): void {
    this.#put(1, "error", `unable to speak TLS from: ${ip} for pid: ${pid} ${cleanMessage(why)}`, {
      event: "tls-broken",
      pid,
      remoteIp: ip,
      reason: cleanMessage(why),
    });
  }

  /** The client's data ended with FIN and without close_notify: somebody may have cut it. */
  noCloseNotify(pid: number, ip: string): void {
    this.#put(3, "info", `end of data without close_notify from: ${ip} for pid: ${pid}`, {
      event: "no-close-notify",
      pid,
      remoteIp: ip,
    });
  }

  clientCertificate(pid: number): void {
    this.#put(2, "info", `valid client cert received for pid: ${pid}`, {
      event: "client-certificate",
      pid,
    });
  }

  /** `status` is the wait status: exit code × 256, or the signal's number. Undefined: nobody knows, as
   *  the monitor has gone before the program. */
  ended(pid: number, status: number | undefined): void {
    this.#line(
      2,
      `ended by ${pid} status ${status ?? "unknown"}`,
      () => ({ event: "ended", pid, status: status ?? null }),
    );
  }

  /** Writes what has gathered; called when the event loop's turn ends, and before an exit. */
  flush(): void {
    if (this.#lines.length === 0) return;
    const lines = this.#lines.join("");
    this.#lines = [];
    this.#write(lines);
  }

  #put(verbosity: number, level: Level, text: string, facts: Record<string, unknown>): void {
    if (this.options.verbosity < verbosity) return;
    this.#line(verbosity, `${level}: ${cleanMessage(text)}`, () => ({
      level,
      ...facts,
      message: cleanMessage(text),
    }));
  }

  #line(verbosity: number, text: string, facts: () => Record<string, unknown>): void {
    if (this.options.verbosity < verbosity || this.options.muted?.()) return;
    if (this.#lines.length === 0) setImmediate(() => this.flush());
    if (this.options.form === "text") {
      this.#lines.push(`${this.options.name}: ${text}\n`);
      return;
    }
    const time = (this.options.now?.() ?? new Date()).toISOString();
    this.#lines.push(`${JSON.stringify({ time, ...facts() })}\n`);
  }
}

/** `mx.example:192.0.2.1:465`; no name leaves its place empty. */
function localEnd(peer: Peer): string {
  return `${clean(peer.host ?? "")}:${peer.ip}:${peer.port}`;
}

/** `host.example:192.0.2.7:ident:50312` */
function remoteEnd({ remote }: Connection): string {
  return `${clean(remote.host ?? "")}:${remote.ip}:${clean(remote.info ?? "")}:${remote.port}`;
}

function ends({ local, remote, proxy }: Connection): Record<string, unknown> {
  return {
    localHost: local.host === undefined ? undefined : clean(local.host),
    localIp: local.ip,
    localPort: local.port,
    remoteHost: remote.host === undefined ? undefined : clean(remote.host),
    remoteIp: remote.ip,
    remoteInfo: remote.info === undefined ? undefined : clean(remote.info),
    remotePort: remote.port,
    ...(proxy
      ? {
        proxyIp: proxy.ip,
        proxyPort: proxy.port,
        uniqueId: proxy.variables.get("PROXY_UNIQUE_ID"),
      }
      : {}),
  };
}

/** stderr may be a pipe in non-blocking mode, shared with who knows whom: EAGAIN means wait. */
function writeStderr(lines: string): void {
  const bytes = new TextEncoder().encode(lines);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += fs.writeSync(2, bytes, at);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else return; // the reader of the log is gone; serving goes on
    }
  }
}

/** The process that speaks: named in lines about connections for which no program was started. */
export const ownPid = (): number => process.pid;
