import assert from "node:assert/strict";
import { test } from "node:test";
import { expose } from "../../src/metrics/exposition.ts";
import { NO_METRICS, type Watch } from "../../src/metrics/observer.ts";
import { ServerMetrics } from "../../src/metrics/server.ts";
import type { Reason, TlsFault } from "../../src/reason.ts";

/** What differs from nothing, after connections that go through these calls. Every call takes 10 ms. */
function counts(...connections: ((watch: Watch) => void)[]): Record<string, number> {
  let now = 1000;
  const metrics = new ServerMetrics(() => now += 10);
  for (const connection of connections) connection(metrics.watch());
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
const SHUT_DOWN: Reason = { kind: "shut down" };

/** Through the handshake. */
function secure(watch: Watch): void {
  watch.admitted();
  watch.securing();
  watch.secured("TLSv1.3", "TLS_AES_256_GCM_SHA384");
}

test("a connection that ends well counts in each stage", () => {
  const seen = counts((watch) => {
    secure(watch);
    watch.starting();
    watch.started();
    watch.ended(0);
    watch.over();
  });
  assert.deepEqual(seen, {
    connections_accepted_total: 1,
    'connections_total{outcome="ok"}': 1,
    'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 1,
    'programs_total{result="ok"}': 1,
    [TIMES.admission]: 1,
    [TIMES.handshake]: 1,
    [TIMES.spawn]: 1,
    [TIMES.connection]: 1,
  });
});

test("a connection fails in the stage it was in, and by the first failure", () => {
  const rows: [(watch: Watch) => void, Record<string, number>][] = [
    [
      (watch) => watch.admitted({ kind: "rule", rule: "host" }),
      {
        'connections_total{outcome="denied"}': 1,
        'denials_total{by="rule_host"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (watch) => watch.failed({ kind: "internal", text: "x" }, false),
      { 'connections_total{outcome="failed"}': 1 },
    ],
    [
      (watch) => {
        watch.admitted();
        watch.securing();
        watch.failed(tls("http request"), true);
        watch.failed(tls("no shared cipher"), true);
      },
      {
        'connections_total{outcome="handshake_failed"}': 1,
        'handshake_failures_total{reason="http_request"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (watch) => {
        watch.admitted();
        watch.securing();
        watch.failed({ kind: "timed out", seconds: 26 }, true);
      },
      {
        'connections_total{outcome="timed_out"}': 1,
        'handshake_failures_total{reason="timed_out"}': 1,
        [TIMES.admission]: 1,
      },
    ],
    [
      (watch) => {
        secure(watch);
        watch.failed(SHUT_DOWN, false); // while it waited for a program to end
      },
      {
        'connections_total{outcome="shut_down"}': 1,
        'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 1,
        [TIMES.admission]: 1,
        [TIMES.handshake]: 1,
      },
    ],
    [
      (watch) => {
        secure(watch);
        watch.starting();
        watch.failed({ kind: "not run", text: "unable to run x" }, false);
      },
      {
        'connections_total{outcome="not_run"}': 1,
        'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 1,
        [TIMES.admission]: 1,
        [TIMES.handshake]: 1,
      },
    ],
  ];
  for (const [connection, wanted] of rows) {
    const seen = counts((watch) => {
      connection(watch);
      watch.over();
    });
    assert.deepEqual(seen, { connections_accepted_total: 1, ...wanted, [TIMES.connection]: 1 });
  }
});

test("UCSPI-TLS: a failed handshake is the outcome although a program ran", () => {
  const seen = counts((watch) => {
    watch.admitted();
    watch.starting();
    watch.started();
    watch.securing();
    watch.failed(tls("not tls"), false);
    watch.ended(15);
    watch.over();
  });
  assert.deepEqual(seen, {
    connections_accepted_total: 1,
    'connections_total{outcome="handshake_failed"}': 1,
    'handshake_failures_total{reason="not_tls"}': 1,
    'programs_total{result="signal"}': 1,
    [TIMES.admission]: 1,
    [TIMES.spawn]: 1,
    [TIMES.connection]: 1,
  });
});

test("UCSPI-TLS: a client that has gone before its handshake counts as one that failed", () => {
  const seen = counts((watch) => {
    watch.admitted();
    watch.starting();
    watch.started();
    watch.failed({ kind: "client gone", how: "closed" }, true);
    watch.over();
  });
  assert.equal(seen['connections_total{outcome="handshake_failed"}'], 1);
  assert.equal(seen['handshake_failures_total{reason="closed_by_client"}'], 1);
});

test("times are in seconds, each from the beginning of its stage", () => {
  let now = 0;
  const metrics = new ServerMetrics(() => now);
  const watch = metrics.watch();
  const after = (ms: number, step: () => void): void => {
    now += ms;
    step();
  };
  after(250, () => watch.admitted());
  after(1000, () => watch.securing());
  after(500, () => watch.secured("TLSv1.2", "new"));
  after(4000, () => watch.starting());
  after(125, () => watch.started());
  after(8000, () => watch.ended(0));
  after(125, () => watch.over());
  const { admission, handshake, spawn, duration } = metrics;
  assert.deepEqual(
    [admission, handshake, spawn, duration].map(({ sum }) => sum),
    [0.25, 0.5, 0.125, 14],
  );
});

test("any number of hostile texts leaves the output as long as it was", () => {
  let now = 0;
  const metrics = new ServerMetrics(() => now++);
  const hostile = (i: number): void => {
    const watch = metrics.watch();
    const text = `x"} 1\n${i}`;
    watch.admitted(i % 2 ? undefined : { kind: "rule", rule: "host" });
    watch.securing();
    if (i % 3) watch.secured(text, text);
    else watch.failed(tls("other", text), true);
    watch.ended(i);
    watch.over();
    metrics.asked(text);
  };
  for (let i = 0; i < 10; i++) hostile(i);
  const lines = expose(metrics.registry.families()).split("\n").length;
  for (let i = 10; i < 10_000; i++) hostile(i);
  const text = expose(metrics.registry.families());
  assert.equal(text.split("\n").length, lines);
  assert.ok(!text.includes("x\\"));
});

test("without --metrics nothing is counted and nothing is made", () => {
  assert.equal(NO_METRICS.registry, undefined);
  assert.equal(NO_METRICS.watch(), NO_METRICS.watch());
});
