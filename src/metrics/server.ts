/** The metrics that are counted, and their names. Observes the connections, and gets the rest
 *  through `Metrics`. describe.ts has the values that need no counting. */

import type { Connection, ConnectionEnd, Stage } from "../connection.ts";
import { breakKind, isDenial, RESET_AT_ACCEPT } from "../reason.ts";
import type { Metrics, Traffic } from "./observer.ts";
import {
  beforeTls,
  BREAKS,
  CIPHERS,
  denialOf,
  DENIALS,
  endingOf,
  ENDINGS,
  failureOf,
  FAILURES,
  LOOKUPS,
  outcomeOf,
  OUTCOMES,
  VERSIONS,
} from "./reasons.ts";
import { Registry } from "./registry.ts";

/** Upper bounds of the buckets, in seconds: from the cost of a stage without waiting to its default
 *  limit. */
const ADMISSION = [0.0005, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 30];
const HANDSHAKE = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
const SPAWN = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
const CONNECTION = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 3600, 14_400];

/** The counters behind `Metrics`. */
export class ServerMetrics implements Metrics {
  readonly registry = new Registry();
  readonly traffic: Traffic = { received: 0, sent: 0 };
  accepted = 0;
  readonly connections = this.registry.counter(
    "sslserver_connections_total",
    "Connections that have ended, by outcome.",
    ["outcome", OUTCOMES],
  );
  readonly denials = this.registry.counter(
    "sslserver_denials_total",
    "Connections denied by admission, by kind of limit or rule.",
    ["by", DENIALS],
  );
  readonly handshakes = this.registry.counter(
    "sslserver_handshakes_total",
    "Completed TLS handshakes, by protocol version and cipher suite.",
    ["version", VERSIONS],
    ["cipher", CIPHERS],
  );
  readonly failures = this.registry.counter(
    "sslserver_handshake_failures_total",
    "TLS handshakes that were not completed, by reason.",
    ["reason", FAILURES],
  );
  readonly breaks = this.registry.counter(
    "sslserver_tls_breaks_total",
    "Connections in which the client broke TLS after the handshake, by kind.",
    ["how", BREAKS],
  );
  readonly endings = this.registry.counter(
    "sslserver_programs_total",
    "Programs that have ended, by result: exit code 0, another exit code, or a signal.",
    ["result", ENDINGS],
  );
  readonly lookups = this.registry.counter(
    "sslserver_resolver_queries_total",
    "Questions sent to DNS servers (not answered from the cache), by outcome.",
    ["outcome", LOOKUPS],
  );
  readonly admission = this.registry.histogram(
    "sslserver_admission_duration_seconds",
    "Seconds from accept to admission or denial of a connection.",
    ADMISSION,
  );
  readonly handshake = this.registry.histogram(
    "sslserver_handshake_duration_seconds",
    "Seconds that completed TLS handshakes took, including the wait for the ClientHello.",
    HANDSHAKE,
  );
  readonly spawn = this.registry.histogram(
    "sslserver_spawn_duration_seconds",
    "Seconds that the start of a program took, including the wait for a slot (-c).",
    SPAWN,
  );
  readonly duration = this.registry.histogram(
    "sslserver_connection_duration_seconds",
    "Seconds from accept to the end of a connection.",
    CONNECTION,
  );

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(readonly now: () => number = () => performance.now()) {
    const { registry, traffic } = this;
    registry.counted(
      "sslserver_connections_accepted_total",
      "Connections accepted.",
      () => this.accepted,
    );
    registry.counted(
      "sslserver_received_bytes_total",
      "Bytes relayed from clients to programs, decrypted.",
      () => traffic.received,
    );
    registry.counted(
      "sslserver_sent_bytes_total",
      "Bytes relayed from programs to clients, before encryption.",
      () => traffic.sent,
    );
  }

  /** See `ConnectionObserver`. */
  entered(conn: Connection, before: Stage): void {
    const { stage } = conn;
    switch (stage) {
      case "accepted":
        this.accepted++;
        return;
      case "hello":
      case "starting":
      case "conversing":
        if (before === "admission") this.admission.observe(this.#seconds(conn.accepted));
        else if (before === "handshake") this.handshake.observe(this.#seconds(conn.since));
        else if (before === "starting") this.spawn.observe(this.#seconds(conn.since));
        conn.since = this.now();
        return;
      case "lingering":
      case "over":
        if (before === "lingering") return;
        this.connections.add(outcomeOf(conn.endedBy));
        this.duration.observe(this.#seconds(conn.accepted));
    }
  }

  /** See `ConnectionObserver`. */
  failed(conn: Connection, end: ConnectionEnd): void {
    const { reason, stage } = end;
    if (reason.kind === "broken") this.breaks.add(breakKind(reason.cause));
    if (conn.endedBy !== end) return;
    if (isDenial(reason)) {
      this.admission.observe(this.#seconds(conn.accepted));
      this.denials.add(denialOf(reason));
    } else if (beforeTls(stage)) this.failures.add(failureOf(reason));
  }

  /** See `ConnectionObserver`. */
  programEnded(_conn: Connection, _program: unknown, status: number | undefined): void {
    if (status !== undefined) this.endings.add(endingOf(status));
  }

  lost(failed: boolean): void {
    this.accepted++;
    const end: ConnectionEnd | undefined = failed
      ? { reason: RESET_AT_ACCEPT, stage: "hello" }
      : undefined;
    if (end) this.failures.add(failureOf(end.reason));
    this.connections.add(outcomeOf(end));
    this.duration.observe(0);
  }

  secured(protocol: string, cipher: string): void {
    this.handshakes.add(protocol, cipher);
  }

  cut(): void {
    this.breaks.add("no_close_notify");
  }

  asked(status: string): void {
    this.lookups.add(status);
  }

  #seconds(since: number): number {
    return (this.now() - since) / 1000;
  }
}
