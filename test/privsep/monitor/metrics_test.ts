import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { DecodeError } from "../../../src/codec/bytes.ts";
import { FatalError } from "../../../src/errors.ts";
import { Log } from "../../../src/log.ts";
import type { MetricsAddress } from "../../../src/config/metrics_address.ts";
import { countKinds } from "../../../src/metrics/describe.ts";
import type { MonitorMessage } from "../../../src/privsep/messages.ts";
import { MonitorMetrics } from "../../../src/privsep/monitor/metrics.ts";
import { currentRuntime } from "../../../src/runtime/current.ts";

const { libc } = await currentRuntime();
assert(libc);

const dir = fs.mkdtempSync(join(tmpdir(), "monitor-metrics-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

class Fake {
  readonly told: MonitorMessage[] = [];
  readonly fds: number[] = [];
  readonly channel = {
    send: (message: MonitorMessage, fds: readonly number[] = []): void => {
      this.told.push(message);
      this.fds.push(...fds);
    },
  };

  constructor(readonly index: number) {}
}

function metrics(address: MetricsAddress, ...workers: Fake[]): MonitorMetrics<Fake> {
  const log = new Log({ verbosity: 0, form: "text", name: "test" });
  assert(libc);
  return new MonitorMetrics({ address, libc, log, serving: () => workers, programs: () => 0 });
}

const NOTHING = new Float64Array(countKinds().length);

/** The last message to the worker, which must be TOTALS. */
function totals(worker: Fake) {
  const last = worker.told.at(-1);
  assert(last?.kind === "TOTALS");
  return last;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

test("each worker with index 0 gets the same listening socket, and no other worker does", async () => {
  const [first, next, other] = [new Fake(0), new Fake(0), new Fake(1)];
  const m = metrics({ host: "127.0.0.1", port: 0 });
  m.listen();
  for (const worker of [first, next, other]) m.introduce(worker);
  assertEquals([other.told, other.fds], [[], []]);
  const [a = -1, b = -1] = [...first.fds, ...next.fds];
  const { port } = libc.getsockname(a);
  assertStrictEquals(libc.getsockname(b).port, port);
  const [told] = first.told;
  assert(told?.kind === "METRICS");
  const { started, socket } = told.introduction;
  assert(socket && Math.abs(started - Date.now() / 1000) < 600);
  libc.close(a); // the first worker has died; new clients wait in the queue
  assert(await connects(port));
  libc.close(b);
  assert(await connects(port));
  m.close();
  assert(!await connects(port));
});

test("an address that cannot be bound is fatal", () => {
  const taken = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 1 });
  try {
    assertThrows(
      () => metrics({ host: "127.0.0.1", port: taken.port }).listen(),
      FatalError,
      /^unable to listen for --metrics on 127\.0\.0\.1:[0-9]+: /,
    );
  } finally {
    libc.close(taken.fd);
  }
});

test("the server removes its own socket file, and not a successor's", async () => {
  const bind = async (path: string): Promise<net.Server> => {
    const server = net.createServer().listen({ path });
    await new Promise((resolve) => server.once("listening", resolve));
    return server;
  };
  for (const replaced of [false, true]) {
    const path = join(dir, `socket-${replaced}`);
    const worker = new Fake(0);
    const m = metrics({ path }, worker);
    m.listen();
    m.introduce(worker);
    assertEquals(worker.fds, []);
    const servers = [await bind(path)];
    m.placed(worker);
    if (replaced) {
      fs.renameSync(path, `${path}.old`);
      servers.push(await bind(path));
    }
    m.close();
    assertStrictEquals(fs.existsSync(path), replaced);
    for (const server of servers) server.close();
  }
});

test("only the worker with index 0 answers scrapers", () => {
  const [zero, one] = [new Fake(0), new Fake(1)];
  const m = metrics({ path: join(dir, "none") }, zero, one);
  assertThrows(() => m.scrape(one, { kind: "SCRAPE", id: 1, counts: NOTHING }), DecodeError);
  assertThrows(() => m.placed(one), DecodeError);
  m.take(one, { kind: "COUNTS", id: 0, counts: NOTHING });
});

test("the reason for a replaced worker is one of three words", () => {
  const zero = new Fake(0);
  const m = metrics({ path: join(dir, "none") }, zero);
  const ends = ["signal", "signal", "breach", "exit", "exit", "exit"] as const;
  for (const end of ends) m.gone(new Fake(1), end);
  m.scrape(zero, { kind: "SCRAPE", id: 1, counts: NOTHING });
  assertEquals(totals(zero).ended, { signal: 2, breach: 1, exit: 3 });
});

test("messages after the end of a worker are ignored", () => {
  const zero = new Fake(0);
  const m = metrics({ path: join(dir, "none") }, zero);
  m.close();
  m.scrape(zero, { kind: "SCRAPE", id: 1, counts: NOTHING });
  m.take(zero, { kind: "COUNTS", id: 9, counts: new Float64Array(1) });
  assertEquals(zero.told, []);
  m.close();
});
