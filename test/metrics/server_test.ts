import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Connection } from "../../src/connection.ts";
import { expose } from "../../src/metrics/exposition.ts";
import { NO_METRICS } from "../../src/metrics/observer.ts";
import { ServerMetrics } from "../../src/metrics/server.ts";
import type { Reason, TlsFault } from "../../src/reason.ts";
import type { Program, Socket } from "../../src/runtime/runtime.ts";

const ADDRESS = { ip: "192.0.2.1", port: 1 };
const PROGRAM = { pid: 5 } as Program;

/** A connection that `metrics` observes, accepted `now`. */
function connection(metrics: ServerMetrics, now: number): Connection {
  const socket = { local: ADDRESS, remote: ADDRESS, destroy() {} } as unknown as Socket;
  const conn = new Connection(socket, undefined, undefined, [metrics]);
  Object.assign(conn, { accepted: now });
  conn.enter("accepted");
  return conn;
}

/** The samples that are not 0 after connections that go through these steps. */
function counts(
  ...connections: ((conn: Connection, metrics: ServerMetrics) => void)[]
): Record<string, number> {
  let now = 1000;
  const metrics = new ServerMetrics(() => now += 10);
  for (const steps of connections) steps(connection(metrics, now), metrics);
  const lines = expose(metrics.registry.families()).split("\n")
    .filter((line) => !/^#|^$|_bucket|_sum| 0$/.test(line));
  return Object.fromEntries(lines.map((line) => {
    const [, name = "", value] = /^(?:sslserver_)?(.*) ([^ ]+)$/.exec(line) ?? [];
    return [name, Number(value)];
  }));
}

const TIMES = {
  admission: "admission_duration_seconds_count",
  handshake: "handshake_duration_seconds_count",
  spawn: "spawn_duration_seconds_count",
  connection: "connection_duration_seconds_count",
};

const tls = (fault: TlsFault, text = "x"): Reason => ({ kind: "tls", fault, text });
const RESET: Reason = { kind: "broken", cause: { kind: "client gone", how: "reset" } };

/** Brings a connection to the handshake. */
function greet(conn: Connection): void {
  conn.enter("admission");
  conn.enter("hello");
  conn.enter("handshake");
}

/** Brings a connection through the handshake. */
function secure(conn: Connection, metrics: ServerMetrics): void {
  greet(conn);
  metrics.secured("TLSv1.3", "TLS_AES_256_GCM_SHA384");
  conn.enter("starting");
}

function run(conn: Connection): void {
  conn.program = PROGRAM;
  conn.enter("conversing");
}

/** UCSPI-TLS: brings a connection to the program's request. */
function ask(conn: Connection): void {
  conn.enter("admission");
  conn.enter("starting");
  run(conn);
  conn.enter("hello");
}

const SECURED = {
  'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 1,
  [TIMES.admission]: 1,
  [TIMES.handshake]: 1,
};

test("a connection that ends well counts in each stage", () => {
  for (const last of ["client", "program"]) {
    const seen = counts((conn, metrics) => {
      secure(conn, metrics);
      run(conn);
      if (last === "program") conn.clientGone();
      conn.programEnded(PROGRAM, 0);
      conn.finish();
      conn.clientGone();
    });
    assertEquals(seen, {
      connections_accepted_total: 1,
      'connections_total{outcome="ok"}': 1,
      'programs_total{result="ok"}': 1,
      ...SECURED,
      [TIMES.spawn]: 1,
      [TIMES.connection]: 1,
    }, `${last} ends last`);
  }
});

test("a connection fails in the stage it was in, and by the first failure", () => {
  const rows: [(conn: Connection, metrics: ServerMetrics) => void, Record<string, number>][] = [
    [
      (conn) => {
        conn.enter("admission");
        conn.fail({ kind: "rule", rule: "host" });
      },
      {
        'connections_total{outcome="denied"}': 1,
        'denials_total{by="rule_host"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (conn) => conn.fail({ kind: "internal", text: "x" }),
      { 'connections_total{outcome="failed"}': 1 },
    ],
    [
      (conn) => conn.fail({ kind: "client gone", how: "closed", sent: 0 }, "handshake"),
      {
        'connections_total{outcome="handshake_failed"}': 1,
        'handshake_failures_total{reason="closed_by_client"}': 1,
      },
    ],
    [
      (conn) => {
        greet(conn);
        conn.fail(tls("http request"));
        conn.fail(tls("no shared cipher"));
      },
      {
        'connections_total{outcome="handshake_failed"}': 1,
        'handshake_failures_total{reason="http_request"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (conn) => {
        greet(conn);
        conn.fail({ kind: "timed out", seconds: 26 });
      },
      {
        'connections_total{outcome="timed_out"}': 1,
        'handshake_failures_total{reason="timed_out"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (conn, metrics) => {
        secure(conn, metrics);
        conn.fail({ kind: "not run", text: "unable to run x" });
      },
      { 'connections_total{outcome="not_run"}': 1, ...SECURED },
    ],
    [
      (conn, metrics) => {
        secure(conn, metrics);
        conn.fail(RESET); // while it waits for the end of another program
      },
      { 'connections_total{outcome="not_run"}': 1, 'tls_breaks_total{how="reset"}': 1, ...SECURED },
    ],
    [
      (conn, metrics) => {
        secure(conn, metrics);
        run(conn);
        conn.fail(RESET);
        conn.clientGone();
      },
      {
        'connections_total{outcome="ok"}': 1,
        'tls_breaks_total{how="reset"}': 1,
        ...SECURED,
        [TIMES.spawn]: 1,
      },
    ],
  ];
  for (const [steps, wanted] of rows) {
    const seen = counts((conn, metrics) => {
      steps(conn, metrics);
      conn.finish();
    });
    assertEquals(seen, { connections_accepted_total: 1, ...wanted, [TIMES.connection]: 1 });
  }
});

test("UCSPI-TLS: a failed handshake is the outcome although a program ran", () => {
  const seen = counts((conn) => {
    ask(conn);
    conn.fail(tls("not tls"));
    conn.clientGone();
    conn.programEnded(PROGRAM, 15);
    conn.finish();
  });
  assertEquals(seen, {
    connections_accepted_total: 1,
    'connections_total{outcome="handshake_failed"}': 1,
    'handshake_failures_total{reason="not_tls"}': 1,
    'programs_total{result="signal"}': 1,
    [TIMES.admission]: 1,
    [TIMES.spawn]: 1,
    [TIMES.connection]: 1,
  });
});

test("UCSPI-TLS: a handshake takes time of its own", () => {
  const seen = counts((conn) => {
    ask(conn);
    conn.enter("handshake");
    conn.enter("conversing");
  });
  assertEquals(seen, {
    connections_accepted_total: 1,
    [TIMES.admission]: 1,
    [TIMES.handshake]: 1,
    [TIMES.spawn]: 1,
  });
});

test("UCSPI-TLS: a client that leaves before its handshake counts as a failed handshake", () => {
  const seen = counts((conn) => {
    conn.enter("admission");
    conn.enter("starting");
    run(conn);
    conn.clientGone();
    conn.fail({ kind: "client gone", how: "closed" }, "handshake");
    conn.finish();
  });
  assertStrictEquals(seen['connections_total{outcome="handshake_failed"}'], 1);
  assertStrictEquals(seen['handshake_failures_total{reason="closed_by_client"}'], 1);
});

test("a connection reset before accept counts, except for a proxy's health check", () => {
  assertEquals(counts((_, metrics) => metrics.lost(true)), {
    connections_accepted_total: 2,
    'connections_total{outcome="handshake_failed"}': 1,
    'handshake_failures_total{reason="reset_by_client"}': 1,
    [TIMES.connection]: 1,
  });
  assertEquals(counts((_, metrics) => metrics.lost(false)), {
    connections_accepted_total: 2,
    'connections_total{outcome="ok"}': 1,
    [TIMES.connection]: 1,
  });
});

test("times are in seconds, each from the beginning of its stage", () => {
  let now = 0;
  const metrics = new ServerMetrics(() => now);
  const conn = connection(metrics, now);
  const after = (ms: number, step: () => void): void => {
    now += ms;
    step();
  };
  after(100, () => conn.enter("admission"));
  after(150, () => conn.enter("hello"));
  after(400, () => conn.enter("handshake"));
  after(100, () => conn.enter("starting"));
  after(125, () => run(conn));
  after(8000, () => conn.programEnded(PROGRAM, 0));
  after(125, () => conn.finish());
  after(1000, () => conn.clientGone());
  const { admission, handshake, spawn, duration } = metrics;
  assertEquals(
    [admission, handshake, spawn, duration].map(({ sum }) => sum),
    [0.25, 0.5, 0.125, 9],
  );
});

test("hostile texts do not make the output longer", () => {
  let now = 0;
  const metrics = new ServerMetrics(() => now++);
  const hostile = (i: number): void => {
    const conn = connection(metrics, now);
    const text = `x"} 1\n${i}`;
    greet(conn);
    if (i % 3) metrics.secured(text, text);
    else conn.fail(i % 2 ? tls("other", text) : { kind: "unknown server name", name: text });
    conn.programEnded(PROGRAM, i);
    conn.finish();
    metrics.asked(text);
  };
  for (let i = 0; i < 10; i++) hostile(i);
  const lines = expose(metrics.registry.families()).split("\n").length;
  for (let i = 10; i < 10_000; i++) hostile(i);
  const text = expose(metrics.registry.families());
  assertStrictEquals(text.split("\n").length, lines);
  assert(!text.includes("x\\"));
});

test("without --metrics nothing is counted", () => {
  assertStrictEquals(NO_METRICS.registry, undefined);
});
