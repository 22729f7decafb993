/** Stage 6: one line per event on stderr. This file has the wording of lines about connections, and
 *  decides which lines are written; log/collector.ts writes them.
 *
 *  Everything from a peer goes through `clean` or `cleanMessage`: a peer must not be able to forge
 *  a line, control a terminal or fill a disk. */

import type { Connection } from "./connection.ts";
import { reason as errorText } from "./errors.ts";
import { LineCollector, type LineOptions } from "./log/collector.ts";
import { cleanMessage, ends, localEnd, remoteEnd } from "./log/fields.ts";
import type { LogLevel, LogLine } from "./log/lines.ts";
import { type ForeignLine, S6_LINES } from "./log/s6_lines.ts";
import { reasonWords } from "./log/reasons.ts";
import type { Denial, Reason } from "./reason.ts";

export interface LogOptions extends LineOptions {
  verbosity: 0 | 1 | 2 | 3;
  /** While it returns true, nothing is written. */
  muted?: () => boolean;
}

/** For messages about files and settings, at start and when they change. */
export type Announcer = Pick<Log, "error" | "warning" | "notice">;

export class Log {
  readonly #lines: LineCollector;

  constructor(readonly options: LogOptions) {
    this.#lines = new LineCollector(options);
  }

  /** For a failure after which the server goes on. */
  error(text: string): void {
    this.#put(1, "error", text, { event: "error" }, text);
  }

  /** Not for events that a peer can cause at any rate: every warning is printed. `remedy`: what to
   *  do. */
  warning(text: string, remedy?: string): void {
    if (!this.#shows(1)) return;
    const message = cleanMessage(text);
    const advice = remedy === undefined ? {} : { remedy: cleanMessage(remedy) };
    this.#lines.print({
      level: "warning",
      text: remedy === undefined ? message : `${message} -- ${cleanMessage(remedy)}`,
      facts: () => ({ level: "warning", event: "warning", message, ...advice }),
    });
  }

  /** Information for the operator. Printed unless -q. */
  notice(text: string, facts: Record<string, unknown> = {}): void {
    this.#put(1, "info", text, { event: "info", ...facts });
  }

  /** About the whole server. Printed with -v. */
  detail(text: string, facts: Record<string, unknown>): void {
    this.#put(2, "info", text, facts);
  }

  /** A line without a level, as other programs of the family print it. With -v. */
  plain(text: string, facts: Record<string, unknown>): void {
    this.#line(2, cleanMessage(text), () => facts);
  }

  /** The last message before an exit. With -q only the exit code reports the failure. */
  fatal(text: string, hint?: string): void {
    this.#put(1, "fatal", text, { event: "fatal", ...(hint ? { hint } : {}) });
    if (hint && this.options.form !== "json") this.#put(1, "info", hint, {});
    this.flush();
  }

  /** How to call the command. Printed after a mistake in the call. */
  usage(text: string): void {
    this.#put(1, "usage", text, { event: "usage" });
    this.flush();
  }

  /** Where the server listens. Printed with -v. */
  listening(ip: string, port: number, dualStack: boolean): void {
    if (this.#s6) return this.#foreign(this.#s6.listening(ip, port));
    const both = dualStack ? " (IPv6 and IPv4)" : "";
    const facts = { event: "listening", ip, port, dualStack };
    this.detail(`listening on ${ip}${both} port ${port}`, facts);
  }

  /** `running/limit/per-IP limit` */
  status(running: number, limit: number, perIp: number): void {
    if (this.#s6) return this.#foreign(this.#s6.status(running, limit));
    if (!this.#shows(2)) return;
    const facts = () => ({ event: "status", running, limit, perIp });
    this.#lines.print({ text: `status: ${running}/${limit}/${perIp}`, facts });
  }

  /** `limit`: how many connections the address may have. */
  pid(pid: number, conn: Connection, limit: number): void {
    if (this.#s6) {
      const { others } = conn.reservation ?? {};
      const count = others === undefined ? undefined : others + 1;
      return this.#foreign(this.#s6.accepted(pid, conn.remote, count, limit));
    }
    if (!this.#shows(2)) return;
    const facts = () => ({ event: "pid", pid, ...ends(conn) });
    this.#lines.print({ text: `pid ${pid} from ${conn.remote.ip}`, facts });
  }

  ok(pid: number, conn: Connection): void {
    if (this.#s6) return this.#foreign(this.#s6.admitted(pid, conn.remote));
    if (!this.#shows(2)) return;
    const facts = () => ({ event: "ok", pid, ...ends(conn) });
    this.#lines.print({ text: `ok ${pid} ${localEnd(conn.local)} ${remoteEnd(conn)}`, facts });
  }

  /** `pid` is that of the process that refused the connection: no program was started. */
  deny(pid: number, conn: Connection, denial: Denial): void {
    if (this.#s6) return this.#foreign(this.#s6.denied(pid, conn.remote, denial), "deny");
    if (!this.#shows(2)) return;
    const why = reasonWords(denial);
    this.#lines.mayRepeat("deny", why, {
      text: `deny ${pid} ${localEnd(conn.local)} ${remoteEnd(conn)} ${why}`.trimEnd(),
      facts: () => ({ event: "deny", pid, ...ends(conn), ...(why ? { reason: why } : {}) }),
    });
  }

  /** A client has exceeded a limit of the server's own environment, checked at accept
   *  (docs/specification.md#log-lines). */
  connectionLimit(what: "connection" | "rate", limit: number, ip: string): void {
    if (this.#s6) return; // the line `deny` has this fact
    const facts = { event: "limit", limit, remoteIp: ip };
    this.#put(1, "warning", `ip ${what} limit of ${limit} exceeded for: ${ip}`, facts, what);
  }

  tls(pid: number, protocol: string, cipher: string): void {
    if (this.#s6) return;
    this.#line(3, `tls ${pid} accept ${protocol}:${cipher}`, () => ({
      event: "tls",
      pid,
      protocol,
      cipher,
    }));
  }

  /** `ja4`: see codec/tls/ja4.ts. */
  fingerprint(pid: number, ja4: string): void {
    if (this.#s6) return;
    const facts = { event: "fingerprint", pid, ja4: cleanMessage(ja4) };
    this.#put(3, "info", `client of pid: ${pid} has JA4: ${ja4}`, facts);
  }

  /** Data on a connection (--trace): printable lines that belong together. */
  trace({ remote: { ip, port } }: Connection, lines: readonly string[]): void {
    for (const line of lines) {
      const message = line.replaceAll("%", "?");
      this.#line(1, `trace ${ip}:${port} ${message}`, () => ({
        event: "trace",
        remoteIp: ip,
        remotePort: port,
        message,
      }));
    }
  }

  /** `silent`: the client has gone without sending anything, which is not an error. */
  tlsFailed(pid: number, ip: string, reason: Reason, silent = false): void {
    const why = reasonWords(reason);
    const text = `unable to accept TLS from: ${ip} for pid: ${pid} ${cleanMessage(why)}`;
    const facts = { event: "tls-failed", pid, remoteIp: ip, reason: cleanMessage(why) };
    if (silent) this.#put(2, "info", text, facts, `silent, ${why}`);
    else this.#put(1, "error", text, facts, why);
  }

  /** TLS broke after the handshake. `pid` is the program's, or that of the process that speaks
   *  TLS. */
  tlsBroken(pid: number, ip: string, reason: Reason): void {
    const why = reasonWords(reason);
    const text = `unable to speak TLS from: ${ip} for pid: ${pid} ${cleanMessage(why)}`;
    const facts = { event: "tls-broken", pid, remoteIp: ip, reason: cleanMessage(why) };
    this.#put(1, "error", text, facts, why);
  }

  /** The client's data ended with FIN and without close_notify: an attacker may have truncated
   *  it. */
  noCloseNotify(pid: number, ip: string): void {
    this.#put(3, "info", `end of data without close_notify from: ${ip} for pid: ${pid}`, {
      event: "no-close-notify",
      pid,
      remoteIp: ip,
    });
  }

  /** A connection has failed outside its handshake. */
  connectionFailed(ip: string, reason: Reason): void {
    this.error(`${reasonWords(reason)} (connection from ${ip})`);
  }

  /** The function in place of a program (library.ts) has thrown. */
  handlerFailed(ip: string, error: unknown): void {
    this.error(`the handler failed: ${errorText(error)} (connection from ${ip})`);
  }

  clientCertificate(pid: number): void {
    this.#put(2, "info", `valid client cert received for pid: ${pid}`, {
      event: "client-certificate",
      pid,
    });
  }

  /** `status` is the wait status: exit code × 256, or the signal's number. Undefined if the monitor
   *  has exited before the program, so that the status is not known. `limit`: as in `pid`. */
  ended(pid: number, status: number | undefined, conn?: Connection, limit = 0): void {
    if (this.#s6) {
      return this.#foreign(this.#s6.ended(pid, status, conn?.reservation?.left, limit));
    }
    if (!this.#shows(2)) return;
    const facts = () => ({ event: "ended", pid, status: status ?? null });
    this.#lines.print({ text: `ended by ${pid} status ${status ?? "unknown"}`, facts });
  }

  /** Returns the same log, but silent while `muted` returns true. */
  mutedBy(muted: () => boolean): Log {
    return new Log({ ...this.options, muted, write: this.#lines.write });
  }

  /** Writes lines of another process as they are. */
  copy(lines: string): void {
    this.flush();
    this.#lines.write(lines);
  }

  /** Bytes that stderr has not accepted yet. */
  get waiting(): number {
    return this.#lines.waiting;
  }

  /** Writes the collected lines. Called at the end of an event loop turn, and before an exit. */
  flush(): void {
    this.#lines.flush();
  }

  /** Writes everything before an exit. A stderr that accepts nothing delays it only briefly. */
  async finish(): Promise<void> {
    await this.#lines.finish();
  }

  /** Drops what is not written yet. Returns what the process that takes over the log has to write
   *  first: a line about lost lines, or nothing. */
  giveUp(): string {
    return this.#lines.giveUp();
  }

  /** `kind`: set for a line that may come often. Lines of one event are of the same kind if this
   *  text differs only in numbers and addresses. */
  #put(
    verbosity: number,
    level: LogLevel,
    text: string,
    facts: Record<string, unknown> & { event?: string },
    kind?: string,
  ): void {
    if (!this.#shows(verbosity)) return;
    const message = cleanMessage(text);
    const line = { level, text: message, facts: () => ({ ...facts, message }) };
    if (kind === undefined) this.#lines.print(line);
    else this.#lines.mayRepeat(`${facts.event}`, kind, line);
  }

  get #s6(): typeof S6_LINES | undefined {
    return this.options.form === "s6" ? S6_LINES : undefined;
  }

  /** `kind`: the event of a line that may occur often. */
  #foreign({ name, verbosity, text }: ForeignLine, kind?: string): void {
    if (this.options.verbosity < verbosity || this.options.muted?.()) return;
    const line: LogLine = { level: "info", name, text, facts: () => ({}) };
    if (kind === undefined) this.#lines.print(line);
    else this.#lines.mayRepeat(kind, text, line);
  }

  #line(verbosity: number, text: string, facts: () => Record<string, unknown>): void {
    if (this.#shows(verbosity)) this.#lines.print({ text, facts });
  }

  #shows(level: number): boolean {
    const { verbosity: shown, form, muted } = this.options;
    // s6 has a level between errors and status lines.
    const needed = form === "s6" && level === 2 ? 3 : level;
    return shown >= needed && !muted?.();
  }
}
