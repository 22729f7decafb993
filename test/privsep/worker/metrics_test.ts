import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import * as net from "node:net";
import { test } from "node:test";
import { Log } from "../../../src/log.ts";
import { countKinds } from "../../../src/metrics/describe.ts";
import { ServerMetrics } from "../../../src/metrics/server.ts";
import type { Totals } from "../../../src/privsep/counts.ts";
import type { WorkerMessage } from "../../../src/privsep/messages.ts";
import { WorkerMetrics } from "../../../src/privsep/worker/metrics.ts";
import { currentRuntime } from "../../../src/runtime/current.ts";
import type { Services } from "../../../src/services.ts";

const { libc } = await currentRuntime();
assert(libc);

type Counting = WorkerMessage & { counts: Float64Array; id: number };

/** The metrics of a worker with index 0 without a server, and the messages that it has sent. */
class Bench {
  readonly metrics = new ServerMetrics();
  readonly sent: WorkerMessage[] = [];
  readonly errors: string[] = [];
  readonly worker: WorkerMetrics;
  port = 0;
  #onSent = (): void => {};

  constructor({ workers = 3, again = false, answers = true, push = 60_000 } = {}) {
    const services = {
      runtime: { name: "R", version: "1", tlsLibrary: "T" },
      options: { metrics: { host: "127.0.0.1", port: 0 }, pending: 999, concurrency: 40 },
      gate: { open: 5, pending: 2 },
      programs: { waiting: 1, running: 8, held: 2 },
      contexts: { expiries: () => [] },
      names: { of: () => [] },
      admission: { resolver: { pending: 4 } },
      log: new Log({
        verbosity: 1,
        form: "text",
        name: "x",
        write: (lines) => void this.errors.push(lines),
      }),
    } as unknown as Services;
    this.worker = new WorkerMetrics({
      services,
      registry: this.metrics.registry,
      send: (message) => {
        this.sent.push(message);
        this.#onSent();
      },
      workers,
      again,
      push,
      introduction: answers ? { started: 1000, socket: true } : undefined,
    });
  }

  /** Makes the endpoint listen. It serves unless `begin` is false. */
  async listen(begin = true): Promise<this> {
    assert(libc);
    const { fd, port } = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 9 });
    this.port = port;
    await this.worker.listen(fd);
    if (begin) this.worker.begin();
    return this;
  }

  /** Makes two requests, one after the other. When the second is answered, every earlier connection has
   *  been handled, even one accepted together with the first. */
  async knock(): Promise<void> {
    for (let i = 0; i < 2; i++) assert((await this.scrape("/")).size > 0);
  }

  /** Makes one scrape. Returns the samples of the answer. */
  async scrape(path = "/metrics"): Promise<Map<string, string>> {
    const socket = net.connect({ port: this.port, host: "127.0.0.1" });
    socket.write(`GET ${path} HTTP/1.1\r\n\r\n`);
    let text = "";
    socket.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("close", resolve));
    return new Map(
      text.split("\n").map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at).replace(/^sslserver_/, ""), line.slice(at + 1)];
      }),
    );
  }

  of(kind: WorkerMessage["kind"]): Counting[] {
    return this.sent.filter((one) => one.kind === kind) as Counting[];
  }

  /** Waits until `count` messages of this kind have been sent. Returns the last. */
  async asked(count: number, kind: WorkerMessage["kind"] = "SCRAPE"): Promise<Counting> {
    while (this.of(kind).length < count) {
      await new Promise<void>((resolve) => this.#onSent = resolve);
    }
    return this.of(kind).at(-1) as Counting;
  }

  answer(id: number, more: Partial<Totals>): void {
    const counts = this.metrics.registry.counts();
    const ended = { signal: 1, breach: 2, exit: 3 };
    const totals = { counts, workers: 3, programs: 9, silent: 2, ended, ...more };
    this.worker.total({ kind: "TOTALS", id, ...totals });
  }
}

test("a scrape shows the monitor's sums over all workers", async () => {
  const bench = await new Bench().listen();
  bench.metrics.lost(false);
  const scrape = bench.scrape();
  const { id, counts } = await bench.asked(1);
  assertEquals(counts, bench.metrics.registry.counts());
  const sums = counts.map((count) => 10 * count);
  bench.answer(id + 1, {}); // an id without a request
  bench.answer(id, { counts: sums });
  const samples = await scrape;
  for (
    const [name, value] of Object.entries({
      connections_accepted_total: "10",
      'connections_total{outcome="ok"}': "10",
      connections_open: "50",
      connections_pending: "20",
      connections_pending_limit: "999",
      connections_waiting: "10",
      handlers_running: "20",
      resolver_queries_pending: "40",
      programs_running: "9",
      programs_limit: "40",
      workers_running: "3",
      'worker_restarts_total{reason="signal"}': "1",
      'worker_restarts_total{reason="breach"}': "2",
      'worker_restarts_total{reason="exit"}': "3",
      workers_silent_total: "2",
      process_start_time_seconds: "1000",
    })
  ) assertStrictEquals(samples.get(name), value, name);
  bench.worker.close();
});

test("a single worker answers by itself and reports its counts to the monitor", async () => {
  const bench = await new Bench({ workers: 1 }).listen();
  bench.metrics.lost(false);
  const samples = await bench.scrape();
  assertStrictEquals(samples.get("connections_accepted_total"), "1");
  assertStrictEquals(samples.get("programs_running"), "6");
  assertStrictEquals(samples.get("handlers_running"), "2");
  assertStrictEquals(samples.get("workers_running"), "1");
  assertStrictEquals(samples.get('worker_restarts_total{reason="signal"}'), "0");
  const kinds = bench.sent.map(({ kind }) => kind);
  assertEquals(kinds, ["PLACED", "COUNTS"]);
  assertEquals(bench.of("COUNTS")[0]?.counts, bench.metrics.registry.counts());
  bench.worker.close();
});

test("a single worker with a predecessor asks the monitor", async () => {
  const bench = await new Bench({ workers: 1, again: true }).listen();
  const scrape = bench.scrape();
  const { id, counts } = await bench.asked(1);
  bench.answer(id, { counts: counts.map(() => 7), workers: 1 });
  assertStrictEquals((await scrape).get("connections_accepted_total"), "7");
  bench.worker.close();
});

test("requests that come while an answer is made share the next one", async () => {
  const bench = await new Bench().listen();
  const first = bench.scrape();
  const { id, counts } = await bench.asked(1);
  const others = [bench.scrape(), bench.scrape(), bench.scrape()];
  await bench.knock();
  bench.answer(id, { counts: counts.map(() => 1) });
  const next = await bench.asked(2);
  bench.answer(next.id, { counts: counts.map(() => 2) });
  const all = await Promise.all([first, ...others]);
  assertEquals(all.map((one) => one.get("connections_accepted_total")), ["1", "2", "2", "2"]);
  assertStrictEquals(bench.of("SCRAPE").length, 2);
  bench.worker.close();
});

test("no scrape is answered before the worker serves", async () => {
  const bench = await new Bench({ again: true }).listen(false);
  const scrape = bench.scrape();
  await bench.knock();
  assertEquals(bench.sent.map(({ kind }) => kind), ["PLACED"]);
  bench.worker.begin();
  const { id } = await bench.asked(1);
  bench.answer(id, {});
  assertStrictEquals((await scrape).get("workers_running"), "3");
  bench.worker.close();
});

test("a worker reports its counts when the monitor asks", () => {
  const bench = new Bench({ answers: false });
  bench.metrics.lost(false);
  bench.worker.gather({ kind: "GATHER", id: 2 ** 33 });
  const [counts, ...more] = bench.of("COUNTS");
  assertStrictEquals(more.length, 0);
  assertStrictEquals(counts?.id, 2 ** 33);
  assertEquals(counts?.counts, bench.metrics.registry.counts());
  assertEquals(bench.metrics.registry.kinds(), countKinds());
});

test("a serving worker reports its counts regularly", async () => {
  const bench = new Bench({ answers: false, push: 5 });
  const alive = setInterval(() => {}, 1000); // the worker's own timer does not keep the process alive
  bench.worker.begin();
  await bench.asked(2, "COUNTS");
  bench.metrics.lost(false);
  const { id, counts } = await bench.asked(bench.sent.length + 1, "COUNTS");
  assertStrictEquals(id, 0);
  assertEquals(counts, bench.metrics.registry.counts());
  bench.worker.close();
  const { length } = bench.sent;
  // Nothing may be sent here, so there is no event to wait for.
  await new Promise((resolve) => setTimeout(resolve, 30));
  clearInterval(alive);
  assertStrictEquals(bench.sent.length, length);
});

test("all workers report their numbers in the same order", () => {
  const kinds = [true, false].map((answers) => new Bench({ answers }).metrics.registry.kinds());
  assertEquals(kinds, [countKinds(), countKinds()]);
});

test("the end closes waiting clients without a log line", async () => {
  const bench = await new Bench().listen();
  const scrape = bench.scrape();
  await bench.asked(1);
  bench.worker.close();
  assertEquals([...(await scrape).keys()], [""]);
  assert(!bench.errors.join("").includes("unable to answer"));
});

test("a metrics address that is taken is fatal for the first worker only", async () => {
  for (const again of [false, true]) {
    const bench = new Bench({ again });
    const listening = bench.worker.listen(1 << 20); // no such descriptor
    if (again) await listening;
    else await assertRejects(() => listening, Error, /unable to listen for --metrics/);
    assertEquals(bench.sent, []);
    bench.worker.close();
  }
});
