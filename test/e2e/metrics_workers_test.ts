/** A server with three workers has the metrics of one server: they are exact whichever worker serves a
 *  connection, and no counter decreases when a worker dies. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { Raw, refused, talk } from "./clients.ts";
import { LIMIT, ON_DENO, type Server, settled, type Trial, WITH_FFI, within } from "./harness.ts";
import { assertCounts, assertWellFormed, curl, samples, where } from "./metrics.ts";
import { asRoot, jailed, split, workersOf } from "./privsep.ts";

const THREE = ["-HRl0", "--workers", "3"];

/** Makes connections without TLS, which are refused, until two workers have had some of them (the kernel
 *  decides which worker accepts). Returns their number. */
async function spread(server: Server): Promise<number> {
  for (let count = 8; count <= 800; count += 8) {
    await Promise.all(Array.from({ length: 8 }, () => refused(server.port, new Uint8Array(64))));
    const lines = await server.waitFor(/ unable to accept TLS /, count);
    const workers = new Set(lines.map((line) => / for pid: ([0-9]+) /.exec(line)?.[1]));
    if (workers.size > 1) return count;
  }
  throw new Error("one worker had all connections");
}

/** The counters of a scrape, which must not decrease. */
function counters(text: string): [string, number][] {
  return [...samples(text)].filter(([name]) => /_(total|count|sum|bucket)(\{|$)/.test(name));
}

function assertNotBack(before: string, after: string): void {
  const now = new Map(counters(after));
  const back = counters(before).filter(([name, value]) => (now.get(name) ?? 0) < value);
  assertEquals(back, []);
}

/** Kills a worker with SIGKILL and waits for its successor. */
async function replace(t: Trial, server: Server, url: string, pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await settled(() => server.workers(), (pids) => pids.length === 3 && !pids.includes(pid));
  const running = async () => samples(await curl(t, url)).get("workers_running");
  assertStrictEquals(await settled(running, (count) => count === 3), 3);
}

split("connections count once, whichever of three workers they come to", async (t) => {
  const server = await t.start({ options: [...THREE, "--metrics", ":0"] });
  const url = await where(server);
  const wrong = await spread(server);
  const talks = Array.from({ length: 12 }, () => talk(t, server, "hello\n"));
  for (const { text } of await Promise.all(talks)) assertStrictEquals(text, "hello\n");
  const text = await assertCounts(t, url, {
    connections_accepted_total: wrong + 12,
    'connections_total{outcome="ok"}': 12,
    'connections_total{outcome="handshake_failed"}': wrong,
    'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 12,
    'handshake_failures_total{reason="not_tls"}': wrong,
    'programs_total{result="ok"}': 12,
    received_bytes_total: 12 * 6,
    sent_bytes_total: 12 * 6,
    admission_duration_seconds_count: wrong + 12,
    handshake_duration_seconds_count: 12,
    spawn_duration_seconds_count: 12,
    connection_duration_seconds_count: wrong + 12,
  });
  const now = samples(text);
  assertStrictEquals(now.get("workers_running"), 3);
  assertStrictEquals(now.get('connection_duration_seconds_bucket{le="+Inf"}'), wrong + 12);
  assert(Math.abs((now.get("uptime_seconds") ?? 0) - 20) < 20);
  await assertWellFormed(t, text);
});

split("states are those of all workers together", async (t) => {
  const server = await t.start({ options: [...THREE, "--metrics", ":0", "-c", "9"] });
  const url = await where(server);
  const guests = await Promise.all(Array.from({ length: 20 }, () => Raw.connect(server.port)));
  const open = (name: string) => async () => samples(await curl(t, url)).get(name);
  assertStrictEquals(await settled(open("connections_open"), (count) => count === 20), 20);
  assertStrictEquals(await open("connections_pending")(), 20);
  for (const guest of guests) guest.destroy();
  assertStrictEquals(await settled(open("connections_open"), (count) => count === 0), 0);
  const client = ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`];
  const talking = Array.from({ length: 4 }, () => t.spawn("openssl", client));
  assertStrictEquals(await settled(open("programs_running"), (count) => count === 4), 4);
  assertStrictEquals(await open("programs_limit")(), 9);
  for (const guest of talking) guest.kill("SIGTERM");
  assertStrictEquals(await settled(open("programs_running"), (count) => count === 0), 0);
});

split(
  "no counter goes back when a worker is killed, nor when the one that answers is",
  async (t) => {
    const server = await t.start({ options: [...THREE, "--metrics", ":0"] });
    const url = await where(server);
    let count = await spread(server);
    const failed = 'connections_total{outcome="handshake_failed"}';
    const all = () =>
      settled(() => curl(t, url), (text) => {
        const now = samples(text);
        return now.get(failed) === count && now.get("connections_open") === 0;
      });
    let before = await all();
    let deaths = 0;
    // The worker started first answers the scrapes. Its successor has the largest pid. Kill both in turn,
    // then another worker.
    for (const choose of [Math.min, Math.max, Math.min]) {
      const workers = await workersOf(server, 3);
      await replace(t, server, url, choose(...workers));
      deaths++;
      const after = await curl(t, url);
      assertNotBack(before, after);
      assertStrictEquals(samples(after).get('worker_restarts_total{reason="signal"}'), deaths);
      await assertWellFormed(t, after);
      // Counting continues from the old values.
      for (let i = 0; i < 4; i++) await refused(server.port, new Uint8Array(64));
      count += 4;
      before = await all();
      const now = samples(before);
      const seen = ["connections_accepted_total", failed, "connections_open"];
      assertEquals(seen.map((name) => now.get(name)), [count, count, 0]);
    }
  },
);

split("a server whose only worker is killed counts on, on the same port", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "1", "--metrics", ":0"] });
  const url = await where(server);
  const started = samples(await curl(t, url)).get("process_start_time_seconds");
  for (let i = 1; i < 4; i++) {
    assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
    const ended = async () => samples(await curl(t, url)).get('connections_total{outcome="ok"}');
    assertStrictEquals(await settled(ended, (count) => count === i), i);
    const [worker = 0] = await workersOf(server);
    process.kill(worker, "SIGKILL");
    const text = await curl(t, url); // a scrape before the successor runs waits for it
    assertStrictEquals(samples(text).get('connections_total{outcome="ok"}'), i);
    assertStrictEquals(samples(text).get('worker_restarts_total{reason="signal"}'), i);
    assertStrictEquals(samples(text).get("process_start_time_seconds"), started);
    await settled(() => server.workers(), ([pid]) => pid !== undefined && pid !== worker);
  }
  assertStrictEquals(server.lines(/ metrics at /).length, 1);
});

split("a silent worker delays a scrape by a second, and its last counts are kept", async (t) => {
  const server = await t.start({ options: [...THREE, "--metrics", ":0"] });
  const url = await where(server);
  const count = await spread(server);
  const failed = 'connections_total{outcome="handshake_failed"}';
  const before = await settled(
    () => curl(t, url),
    (text) => samples(text).get(failed) === count,
  );
  const stopped = Math.max(...await workersOf(server, 3));
  process.kill(stopped, "SIGSTOP");
  try {
    const text = await within(curl(t, url), LIMIT, "no answer without the worker");
    assertNotBack(before, text);
    assertStrictEquals(samples(text).get("workers_silent_total"), 1);
    assertStrictEquals(samples(text).get("connections_accepted_total"), count);
    await assertWellFormed(t, text);
  } finally {
    process.kill(stopped, "SIGCONT");
  }
  const after = await curl(t, url);
  assertStrictEquals(samples(after).get("workers_silent_total"), 1);
  assertNotBack(before, after);
});

split("a server in one process has no metrics of workers", async (t) => {
  const server = await t.start({ options: ["-HRl0", "--workers", "0", "--metrics", ":0"] });
  const text = await curl(t, await where(server));
  assertEquals([...samples(text).keys()].filter((name) => name.includes("worker")), []);
});

const ON_PATHS = { forms: WITH_FFI.filter((form) => !ON_DENO.includes(form)) };

asRoot(
  "a jailed worker's unix socket is there again after it died, and gone at SIGTERM",
  async (t) => {
    const path = join(t.dir, "metrics");
    const env = jailed(t);
    const options = [...THREE, "-v", "--metrics", path];
    const fetch = () => curl(t, "--unix-socket", path, "http://localhost/metrics");
    const server = await t.start({ options, env });
    await server.waitFor(/ metrics at /);
    assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
    const ended = async () => samples(await fetch()).get('connections_total{outcome="ok"}');
    assertStrictEquals(await settled(ended, (count) => count === 1), 1);

    const before = await workersOf(server, 3);
    for (const pid of before) process.kill(pid, "SIGKILL");
    const replaced = (pids: number[]) => pids.length === 3 && !pids.some((p) => before.includes(p));
    await settled(() => server.workers(), replaced);
    const again = async (): Promise<string> => {
      try {
        return await fetch();
      } catch {
        return ""; // until then the socket file is that of the dead worker
      }
    };
    const text = await settled(again, (text) => samples(text).get("workers_running") === 3);
    assertStrictEquals(samples(text).get('worker_restarts_total{reason="signal"}'), 3);
    assertStrictEquals(samples(text).get('connections_total{outcome="ok"}'), 1);
    assertStrictEquals(fs.statSync(path).mode & 0o7777, 0o600);

    const client = ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`];
    const talking = t.spawn("openssl", client);
    let heard = "";
    talking.stdout?.on("data", (bytes: Uint8Array) => heard += new TextDecoder().decode(bytes));
    talking.stdin?.write("one\n");
    await settled(() => heard, (text) => text === "one\n");
    server.signal("SIGTERM");
    assertEquals(await server.exited, { status: 0, signal: null });
    assert(!fs.existsSync(path));
    const next = await t.start({ options, env: { ...env, SSL_CHROOT: env["SSL_CHROOT"] ?? "" } });
    await next.waitFor(/ metrics at /);
    assertStrictEquals(samples(await fetch()).get("connections_accepted_total"), 0);
    talking.stdin?.write("two\n"); // the old worker still drains, and has not removed the new socket
    assertStrictEquals(await settled(() => heard, (text) => text === "one\ntwo\n"), "one\ntwo\n");
    talking.stdin?.end();
    talking.kill("SIGTERM");
    assertStrictEquals(samples(await fetch()).get("workers_running"), 3);
    assertEquals(server.lines(/ error: (?!worker )/), []);
  },
  ON_PATHS,
);

asRoot("a successor of a worker that cannot have the path serves without metrics", async (t) => {
  const folder = join(t.dir, "folder");
  fs.mkdirSync(folder);
  const path = join(folder, "metrics");
  const options = ["-HRl0", "--workers", "1", "--metrics", path];
  const server = await t.start({ options, env: jailed(t) });
  await server.waitFor(/ metrics at /);
  const [worker = 0] = await workersOf(server);
  fs.renameSync(folder, `${folder}.away`);
  process.kill(worker, "SIGKILL");
  await server.waitFor(/ error: unable to listen for --metrics on /);
  assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
}, ON_PATHS);
