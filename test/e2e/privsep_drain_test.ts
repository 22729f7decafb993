/** The end of a server with workers: the monitor exits at once and frees the port, and each worker stays
 *  until its last connection ends. Also the log and the effect of each signal. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import process from "node:process";
import { listens } from "../tcp_table.ts";
import { Guest } from "./admission.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { LIMIT, type Server, settled, within } from "./harness.ts";
import { alive, gone, guest, serves, split, subject, workerOf, workersOf } from "./privsep.ts";

const STAY = ["sh", "-c", "echo in; exec cat"];

/** Sends SIGTERM and asserts that the monitor exits with 0. Returns how long that took, in
 *  milliseconds. */
async function terminated(server: Server): Promise<number> {
  const start = performance.now();
  server.signal("SIGTERM");
  const { status } = await within(server.exited, LIMIT, "the monitor did not end");
  assertStrictEquals(status, 0);
  return performance.now() - start;
}

split("SIGTERM: the monitor goes, a successor binds, a transfer is finished", async (t) => {
  const go = join(t.dir, "go"); // holds the transfer up until the successor has served a client
  const server = await t.start({
    options: ["-vHRl0", "--workers", "1"],
    program: ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done; exec cat', go],
  });
  const worker = await workerOf(server);
  const size = 6_000_000;
  const transfer = talk(t, server, "", ["-d", "-n", String(size)]);
  await settled(() => server.children(), ({ length }) => length === 1);
  await terminated(server);
  const successor = await t.start({ options: ["-HRl0", "--workers", "1"], port: server.port });
  assertStrictEquals((await talk(t, successor, "new\n")).text, "new\n");
  assert(alive(worker));
  fs.writeFileSync(go, "");
  const { facts, end } = await transfer;
  assertStrictEquals(end, "close_notify");
  assertStrictEquals(facts["received"], String(size));
  assertStrictEquals(facts["received_sha256"], facts["sent_sha256"]);
  await gone(worker);
});

split("a worker that is stuck keeps no successor from the port", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "1"] });
  const worker = await workerOf(server);
  process.kill(worker, "SIGSTOP");
  server.signal("SIGTERM");
  server.signal("SIGTERM"); // without a second one the monitor would wait 10 s
  await within(server.exited, LIMIT, "the monitor did not end");
  await gone(worker);
  assertMatch(
    server.log(),
    new RegExp(`: error: worker ${worker} was ended: it did not close the listening socket\\n`),
  );
  const successor = await t.start({ options: ["-HRl0", "--workers", "1"], port: server.port });
  assertStrictEquals((await talk(t, successor, "new\n")).text, "new\n");
});

split("without connections SIGTERM ends everything within a moment", async (t) => {
  const times: number[] = [];
  // The monitor waits a second for a worker that does not settle. A busy machine may need that long by itself.
  while (times.length < 3 && !times.some((ms) => ms < 1000)) {
    const server = await t.start({ options: ["-HRl0", "--workers", "2"] });
    const workers = await workersOf(server, 2);
    times.push(await terminated(server));
    for (const pid of workers) await gone(pid, 5000);
  }
  assert(times.some((ms) => ms < 1000), times.join());
});

split("a second SIGTERM, to the worker that drains, ends its connections", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "1"], program: STAY });
  const worker = await workerOf(server);
  process.kill(worker, "SIGTERM"); // ignored: before the drain only the monitor stops workers
  const client = await guest(server);
  await terminated(server);
  assert(alive(worker));
  process.kill(worker, "SIGTERM");
  await within(client.closed, LIMIT, "the connection did not end");
  await gone(worker);
});

split("a program that does not take EOF does not hold the worker up", async (t) => {
  const server = await t.start({
    options: ["-HRl0", "--workers", "1"],
    program: ["sh", "-c", "echo in; exec sleep 1000"],
  });
  const [worker, client] = [await workerOf(server), await guest(server)];
  const [program = 0] = server.children();
  await terminated(server);
  process.kill(worker, "SIGTERM");
  await within(client.closed, LIMIT, "the connection did not end");
  await gone(worker);
  if (alive(program)) process.kill(program, "SIGKILL"); // no process of the server but root's may
});

split("--drain-timeout 1 ends what is left a second after SIGTERM", async (t) => {
  const server = await t.start({
    options: ["-HRl0", "--workers", "1", "--drain-timeout", "1"],
    program: STAY,
  });
  const [worker, client] = [await workerOf(server), await guest(server)];
  const start = performance.now();
  await terminated(server);
  assert(alive(worker));
  await within(client.closed, LIMIT, "the connection did not end");
  const took = performance.now() - start;
  assert(took > 950 && took < 5000, `${took} ms`);
  await gone(worker);
});

split("a connection in the middle of its handshake at SIGTERM gets its program", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "1"], program: STAY });
  const worker = await workerOf(server);
  // A proxy that forwards the ClientHello and holds back what follows.
  let release = (): void => {};
  const answered = Promise.withResolvers<void>();
  const between = net.createServer((client) => {
    const upstream = net.connect(server.port, "127.0.0.1");
    upstream.on("data", (bytes) => {
      answered.resolve();
      client.write(bytes);
    });
    const held: Uint8Array[] = [];
    let open: "first" | "shut" | "open" = "first";
    release = () => {
      open = "open";
      for (const bytes of held) upstream.write(bytes);
    };
    client.on("data", (bytes: Uint8Array) => {
      if (open === "shut") held.push(bytes);
      else upstream.write(bytes);
      if (open === "first") open = "shut";
    });
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(between, "listening");
  try {
    const client = new Guest((between.address() as net.AddressInfo).port);
    await answered.promise;
    server.signal("SIGTERM");
    await settled(() => listens(server.port), (on) => !on);
    release();
    await client.heard();
    assertStrictEquals(client.text, "in\n");
    const { status } = await within(server.exited, LIMIT, "the monitor did not end");
    assertStrictEquals(status, 0);
    assert(alive(worker));
    client.leave();
    await gone(worker);
  } finally {
    between.close();
  }
});

split("SIGHUP: all workers read again, and stay who they are", async (t) => {
  const live = await selfSigned(t, "first");
  const next = await selfSigned(t, "second");
  const server = await t.start({
    options: ["-HRl0", "--workers", "2"],
    env: environmentOf(live),
    program: STAY,
  });
  const workers = await workersOf(server, 2);
  const client = await guest(server);
  for (const part of ["certificate", "key"] as const) fs.copyFileSync(next[part], live[part]);
  server.signal("SIGHUP");
  await serves(t, server, "second");
  await server.waitFor(/^sslserver: info: certificate renewed: /);
  const names = await Promise.all(Array.from({ length: 8 }, () => subject(t, server)));
  assertEquals(new Set(names), new Set(["second"]));
  assertEquals(await workersOf(server, 2), workers);
  client.leave();
});
