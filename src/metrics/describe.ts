/** The metrics that need no counting, and their names: states, limits, certificates, and the server
 *  itself. Their values are read when metrics are requested. */

import process from "node:process";
import type { Runtime } from "../runtime/runtime.ts";
import { VERSION } from "../version.ts";
import type { Sample } from "./exposition.ts";
import type { CountKind, Registry } from "./registry.ts";
import { ServerMetrics } from "./server.ts";

/** States of one worker. The server's are the sums over all workers. */
export interface States {
  readonly open: number;
  readonly pending: number;
  readonly waiting: number;
  readonly questions: number;
  readonly handlers: number;
}

const NO_STATES: States = { open: 0, pending: 0, waiting: 0, questions: 0, handlers: 0 };

function describeStates(registry: Registry, states: States): void {
  registry.state(
    "sslserver_connections_open",
    "Connections whose socket is open.",
    () => states.open,
  );
  registry.state(
    "sslserver_connections_pending",
    "Connections that have not completed admission and handshake.",
    () => states.pending,
  );
  registry.state(
    "sslserver_connections_waiting",
    "Connections that wait for a slot (-c).",
    () => states.waiting,
  );
  registry.state(
    "sslserver_resolver_queries_pending",
    "Questions to DNS servers, in flight or queued.",
    () => states.questions,
  );
  registry.state(
    "sslserver_handlers_running",
    "Connections that a handler serves in place of a program.",
    () => states.handlers,
  );
}

/** Returns the kinds of the numbers that every worker of this program sends, in their order. */
export function countKinds(): CountKind[] {
  const { registry } = new ServerMetrics();
  describeStates(registry, NO_STATES);
  return registry.kinds();
}

/** Facts about the whole server, for a process that is only part of it. */
export interface ServerFacts {
  /** When the server was started, in seconds since 1970. */
  readonly started: number;
  /** Programs running now. */
  readonly programs: () => number;
}

/** Returns when this process was started, in seconds since 1970. */
export function processStart(): number {
  return Date.now() / 1000 - process.uptime();
}

/** The parts of a server that the values are read from. */
export interface Described {
  readonly runtime: Pick<Runtime, "name" | "version" | "tlsLibrary">;
  readonly options: { readonly pending: number; readonly concurrency: number };
  readonly gate: { readonly open: number; readonly pending: number };
  readonly programs: RunningCounts & { readonly waiting: number };
  readonly contexts: { expiries(): Iterable<{ path: string; notAfter: number }> };
  /** `of`: the server names that a file is configured for. */
  readonly names: { of(path: string): readonly (string | undefined)[] };
  readonly admission: { readonly resolver: { readonly pending: number } };
}

/** Programs and handlers that run, and the handlers among them. */
export interface RunningCounts {
  readonly running: number | undefined;
  readonly held: number;
}

/** Returns the number of programs that run; 0 if it is not known. */
export function programsOnly({ running, held }: RunningCounts): number {
  return running === undefined ? 0 : running - held;
}

/** Adds all of these metrics. `whole`: set if the server is more than this process. */
export function describeServer(registry: Registry, services: Described, whole?: ServerFacts): void {
  const { runtime, options, gate, programs, contexts, names, admission: { resolver } } = services;
  const { started, programs: running } = whole ??
    { started: processStart(), programs: () => programsOnly(programs) };
  const gauge = registry.gauge.bind(registry);
  describeStates(registry, {
    get open() {
      return gate.open;
    },
    get pending() {
      return gate.pending;
    },
    get waiting() {
      return programs.waiting;
    },
    get questions() {
      return resolver.pending;
    },
    get handlers() {
      return programs.held;
    },
  });
  gauge(
    "sslserver_connections_pending_limit",
    "Limit on pending connections (--pending).",
    () => options.pending,
  );
  gauge("sslserver_programs_running", "Programs running now.", running);
  gauge(
    "sslserver_programs_limit",
    "Limit on running programs or handlers (-c).",
    () => options.concurrency,
  );
  registry.gauges(
    "sslserver_certificate_expiry_timestamp_seconds",
    "When a certificate expires, in seconds since 1970, by file and server name as configured.",
    function* () {
      for (const { path, notAfter } of contexts.expiries()) {
        const known = names.of(path); // empty if the file is from a rule
        for (const name of known.length > 0 ? known : [undefined]) {
          yield certificate(path, name, notAfter);
        }
      }
    },
  );
  registry.gauges(
    "sslserver_build_info",
    "Always 1; the labels have the versions in use.",
    () => [{
      labels: [
        ["version", VERSION],
        ["runtime", runtime.name],
        ["runtime_version", runtime.version],
        ["tls_library", runtime.tlsLibrary],
      ],
      value: 1,
    }],
  );
  const before = processStart() - started; // time that the server ran before this process
  gauge(
    "process_start_time_seconds",
    "When the server started, in seconds since 1970.",
    () => started,
  );
  gauge(
    "sslserver_uptime_seconds",
    "Seconds since the server started.",
    () => before + process.uptime(),
  );
}

function certificate(path: string, name: string | undefined, notAfter: number): Sample {
  return {
    labels: name === undefined ? [["file", path]] : [["file", path], ["name", name]],
    value: notAfter / 1000,
  };
}
