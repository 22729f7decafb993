/** What is counted of this server, and under which names. The stages tell about connections through
 *  `Metrics`; what the server knows anyway is in describe.ts. */

import type { Denial, Reason } from "../reason.ts";
import type { Metrics, Traffic, Watch } from "./observer.ts";
import {
  type Break,
  BREAKS,
  CIPHERS,
  denialOf,
  DENIALS,
  endingOf,
  ENDINGS,
  failureOf,
  FAILURES,
  LOOKUPS,
  type Outcome,
  outcomeOf,
  OUTCOMES,
  VERSIONS,
} from "./reasons.ts";
import { Registry } from "./registry.ts";

/** Upper ends of the buckets, in seconds: from what a stage costs by itself to its default limit. */
const ADMISSION = [0.0005, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 30];
const HANDSHAKE = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];
const SPAWN = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
const CONNECTION = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 3600, 14_400];

/** What `Metrics` counts, by name. */
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
    "Seconds that the start of a program took, including the wait for a place (-c).",
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

  watch(): Watch {
    this.accepted++;
    return new ConnectionWatch(this);
  }

  asked(status: string): void {
    this.lookups.add(status);
  }
}

/** One connection: when its stage began, and what it came to. */
class ConnectionWatch implements Watch {
  readonly #metrics: ServerMetrics;
  readonly #accepted: number;
  #stage: "admission" | "handshake" | "start" | "other" = "admission";
  #begun: number;
  #outcome: Outcome | undefined;

  constructor(metrics: ServerMetrics) {
    this.#metrics = metrics;
    this.#accepted = this.#begun = metrics.now();
  }

  admitted(denial?: Denial): void {
    this.#metrics.admission.observe(this.#elapsed());
    this.#stage = "other";
    if (denial === undefined) return;
    this.#metrics.denials.add(denialOf(denial));
    this.#outcome = "denied";
  }

  securing(): void {
    this.#enter("handshake");
  }

  secured(protocol: string, cipher: string): void {
    this.#metrics.handshake.observe(this.#elapsed());
    this.#metrics.handshakes.add(protocol, cipher);
    this.#stage = "other";
  }

  starting(): void {
    this.#enter("start");
  }

  started(): void {
    this.#metrics.spawn.observe(this.#elapsed());
    this.#stage = "other";
  }

  broken(how: Break): void {
    this.#metrics.breaks.add(how);
  }

  ended(status: number | undefined): void {
    if (status === undefined) return;
    this.#metrics.endings.add(endingOf(status));
  }

  failed(reason: Reason, beforeTls: boolean): void {
    if (this.#outcome !== undefined) return;
    if (this.#stage === "start") {
      this.#outcome = "not_run";
      return;
    }
    // With -n the client may be gone before the handshake has begun.
    const handshake = this.#stage === "handshake" || beforeTls;
    if (handshake) this.#metrics.failures.add(failureOf(reason));
    this.#outcome = outcomeOf(reason, handshake);
  }

  over(): void {
    this.#metrics.connections.add(this.#outcome ?? "ok");
    this.#metrics.duration.observe((this.#metrics.now() - this.#accepted) / 1000);
  }

  #enter(stage: "handshake" | "start"): void {
    this.#stage = stage;
    this.#begun = this.#metrics.now();
  }

  /** Seconds since the stage began. */
  #elapsed(): number {
    return (this.#metrics.now() - this.#begun) / 1000;
  }
}
