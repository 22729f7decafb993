/** Metrics after a scripted load show exactly what the script did, and Prometheus' own checker finds
 *  nothing wrong. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as net from "node:net";
import { tcprules } from "../../src/commands/tcprules.ts";
import { selfSigned } from "./certificates.ts";
import { Raw, refused, sClient, silent, talk } from "./clients.ts";
import {
  claim,
  formCommand,
  ON_DENO,
  ROOT,
  type Server,
  settled,
  type Trial,
  WITH_FFI,
} from "./harness.ts";
import { assertCounts, assertWellFormed, curl, samples, where } from "./metrics.ts";

async function rulesFile(t: Trial, source: string): Promise<string> {
  const path = join(t.dir, "rules.cdb");
  let errors = "";
  const status = await tcprules([path, join(t.dir, "rules.tmp")], {
    stdin: (async function* () {
      yield new TextEncoder().encode(source);
    })(),
    stdout: () => {},
    stderr: (text) => errors += text,
    env: {},
  });
  assertStrictEquals(status, 0, errors);
  return path;
}

/** Connects from another loopback address and is denied. */
function deniedVisit(server: Server, from: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress: from });
    let received = 0;
    socket.on("data", (bytes) => received += bytes.length);
    socket.on("error", () => {}); // closed by a reset
    socket.on(
      "close",
      () => received === 0 ? resolve() : reject(new Error(`${received} bytes for ${from}`)),
    );
  });
}

claim("after a scripted load the counts are those of the script", async (t) => {
  const program = join(t.dir, "program");
  const body = 'read x; case $x in fail) exit 3;; kill) kill -9 $$;; esac; echo "$x"';
  fs.writeFileSync(program, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  const rules = await rulesFile(t, "127.0.0.2:deny\n127.0.1.:deny\n:allow\n");
  const { certificate, key } = await selfSigned(t, "own", { days: "100" });
  const server = await t.start({
    options: ["--metrics", "127.0.0.1:0", "-T1", "-c7", "-Hlhere", "-x", rules, "--pending", "999"],
    program: [program],
    env: { CERTFILE: certificate, KEYFILE: key, MAXCONIP: "5" },
  });
  const url = await where(server);
  const before = await assertCounts(t, url, {});

  for (let i = 0; i < 3; i++) {
    assertStrictEquals((await talk(t, server, "hello\n")).text, "hello\n");
  }
  await sClient(t, server, "hello\n", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
  await talk(t, server, "fail\n");
  await talk(t, server, "kill\n");
  await deniedVisit(server, "127.0.0.2");
  await deniedVisit(server, "127.0.0.2");
  await deniedVisit(server, "127.0.1.9");
  await refused(server.port, new Uint8Array(64));
  await refused(server.port, new Uint8Array(64));
  const crowd = [1, 2, 3, 4, 5].map(() => Raw.connect(server.port)); // as many as MAXCONIP
  const held = await Promise.all(crowd);
  await settled(
    async () => samples(await curl(t, url)).get("connections_pending"),
    (pending) => pending === 5,
  );
  await deniedVisit(server, "127.0.0.1");
  for (const raw of held) await raw.closedWithin(); // after -T seconds
  const gone = await Raw.connect(server.port);
  gone.destroy();
  await settled(
    async () => samples(await curl(t, url)).get('connections_total{outcome="handshake_failed"}'),
    (failed) => failed === 3,
  );
  fs.unlinkSync(program);
  await talk(t, server, "hello\n");

  const text = await assertCounts(t, url, {
    connections_accepted_total: 19,
    'connections_total{outcome="ok"}': 6,
    'connections_total{outcome="denied"}': 4,
    'connections_total{outcome="handshake_failed"}': 3,
    'connections_total{outcome="timed_out"}': 5,
    'connections_total{outcome="not_run"}': 1,
    'denials_total{by="rule_address"}': 2,
    'denials_total{by="rule_network"}': 1,
    'denials_total{by="limit_address"}': 1,
    'handshakes_total{version="TLSv1.3",cipher="TLS_AES_256_GCM_SHA384"}': 6,
    'handshakes_total{version="TLSv1.2",cipher="ECDHE-ECDSA-AES128-GCM-SHA256"}': 1,
    'handshake_failures_total{reason="not_tls"}': 2,
    'handshake_failures_total{reason="timed_out"}': 5,
    'handshake_failures_total{reason="closed_by_client"}': 1,
    'programs_total{result="ok"}': 4,
    'programs_total{result="failed"}': 1,
    'programs_total{result="signal"}': 1,
    received_bytes_total: 4 * 6 + 5 + 5,
    sent_bytes_total: 4 * 6,
    admission_duration_seconds_count: 19,
    handshake_duration_seconds_count: 7,
    spawn_duration_seconds_count: 6,
    connection_duration_seconds_count: 19,
  });
  const now = samples(text);
  const state = Object.fromEntries(
    ["programs_running", "programs_limit", "connections_pending", "connections_pending_limit"]
      .map((name) => [name, now.get(name)]),
  );
  assertEquals(state, {
    programs_running: 0,
    programs_limit: 7,
    connections_pending: 0,
    connections_pending_limit: 999,
  });
  const ends = now.get(`certificate_expiry_timestamp_seconds{file="${certificate}"}`) ?? 0;
  assert(Math.abs(ends - Date.now() / 1000 - 100 * 86_400) < 3600, String(ends));
  assert((now.get("process_start_time_seconds") ?? 0) > Date.now() / 1000 - 120);

  for (const output of [before, text]) await assertWellFormed(t, output);
});

claim("connections closed for newer ones are counted", async (t) => {
  const one = t.alone ? [] : ["--workers", "1"]; // each worker applies --pending to its own connections
  const server = await t.start({ options: ["--metrics", ":0", "--pending", "4", ...one] });
  const url = await where(server);
  const crowd = await silent(t, server, 10);
  await settled(() => crowd.open(), (open) => open === 4);
  await assertCounts(t, url, {
    connections_accepted_total: 10,
    'connections_total{outcome="gave_way"}': 6,
    'handshake_failures_total{reason="gave_way"}': 6,
    admission_duration_seconds_count: 10,
    connection_duration_seconds_count: 6,
  });
});

claim(
  "UCSPI-TLS: a missing handshake is the outcome, and its program counts",
  async (t) => {
    const program = ["sh", "-c", "printf hello; printf y >&3; exec cat <&4 >&5"];
    const server = await t.start({ options: ["--metrics", ":0", "-n", "-T", "1"], program });
    const url = await where(server);
    const raw = await Raw.connect(server.port);
    await raw.closedWithin();
    await assertCounts(t, url, {
      connections_accepted_total: 1,
      'connections_total{outcome="timed_out"}': 1,
      'handshake_failures_total{reason="timed_out"}': 1,
      'programs_total{result="ok"}': 1,
      sent_bytes_total: 5,
      admission_duration_seconds_count: 1,
      spawn_duration_seconds_count: 1,
      connection_duration_seconds_count: 1,
    });
  },
  { forms: WITH_FFI },
);

claim("programs are shown as long as they run", async (t) => {
  const server = await t.start({ options: ["--metrics", ":0", "-c", "2", "-w", "30"] });
  const url = await where(server);
  const client = ["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`];
  const guests = [1, 2].map(() => t.spawn("openssl", client));
  const running = async (): Promise<number | undefined> =>
    samples(await curl(t, url)).get("programs_running");
  assertStrictEquals(await settled(running, (n) => n === 2), 2);
  for (const guest of guests) guest.stdin?.end(); // cat ends with its input
  for (const guest of guests) guest.kill("SIGTERM");
  assertStrictEquals(await settled(running, (n) => n === 0), 0);
});

claim("a certificate is shown with its file, and with each server name it is for", async (t) => {
  const own = await selfSigned(t, "own");
  const other = await selfSigned(t, "other", { days: "7" });
  const named = ["a.example", "*.b.example"].flatMap((name) => [
    `'CERTFILE:${name}=${other.certificate}'`,
    `'KEYFILE:${name}=${other.key}'`,
  ]);
  const server = await t.start({
    options: ["--metrics", ":0"],
    env: { CERTFILE: own.certificate, KEYFILE: own.key },
    prelude: `set -- env ${named.join(" ")} "$@"`, // a shell drops variables of such names
  });
  const text = await curl(t, await where(server));
  const family = "certificate_expiry_timestamp_seconds";
  const shown = [...samples(text).keys()].filter((name) => name.startsWith(family));
  assertEquals(shown.sort(), [
    `${family}{file="${other.certificate}",name="*.b.example"}`,
    `${family}{file="${other.certificate}",name="a.example"}`,
    `${family}{file="${own.certificate}"}`,
  ]);
});

claim(
  "SIGTERM frees the metrics' address at once and nobody there holds up the exit",
  async (t) => {
    const server = await t.start({ options: ["--metrics", ":0", "-v"] });
    const url = await where(server);
    const idle = await Raw.connect(Number(new URL(url).port));
    const talking = t.spawn("openssl", [
      "s_client",
      "-quiet",
      "-connect",
      `127.0.0.1:${server.port}`,
    ]);
    await server.waitFor(/^sslserver: ok /);
    server.signal("SIGTERM");
    await idle.closedWithin();
    const next = await t.start({ options: ["--metrics", new URL(url).host] });
    assertStrictEquals(await where(next), url);
    talking.stdin?.end();
    talking.kill("SIGTERM");
    assertStrictEquals((await server.exited).status, 0);
  },
);

claim("an address that cannot be bound stops the start before anything is served", async (t) => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as net.AddressInfo;
  try {
    const outcome = await t.fails({ options: ["--metrics", `127.0.0.1:${port}`] });
    assertStrictEquals(outcome.status, 111);
    assertStrictEquals(outcome.stdout.length, 0);
    assertMatch(
      outcome.stderr,
      /^sslserver: fatal: unable to listen for --metrics on 127\.0\.0\.1:/m,
    );
  } finally {
    taken.close();
  }
  const wrong = await t.fails({ options: ["--metrics", "nonsense"] });
  assertStrictEquals(wrong.status, 100);
  assertMatch(wrong.stderr, /option --metrics needs .*, not 'nonsense'/);
});

claim("a unix socket is its owner's alone and gone after the end", async (t) => {
  const path = join(t.dir, "metrics");
  const server = await t.start({ options: ["--metrics", path], prelude: "umask 0" });
  assertStrictEquals(await where(server), path);
  assertStrictEquals(fs.statSync(path).mode & 0o7777, 0o600);
  const text = await curl(t, "--unix-socket", path, "http://localhost/metrics");
  assertStrictEquals(samples(text).get("connections_accepted_total"), 0);
  assertStrictEquals(await server.stop(), undefined);
  assert(!fs.existsSync(path));
}, { forms: WITH_FFI.filter((form) => !ON_DENO.includes(form)) });

claim("with the permissions of the manual, Deno's worker binds a unix socket", async (t) => {
  const path = join(t.dir, "metrics of a server");
  const options = ["--metrics", path, "--self-signed"];
  const [deno = ""] = formCommand(t.form, "cat");
  const command = [deno, "run", "-A", "--no-check", join(ROOT, "cli.ts")];
  const server = await t.start({ command, options });
  assertStrictEquals(await where(server), path);
  const text = await curl(t, "--unix-socket", path, "http://localhost/metrics");
  assertStrictEquals(samples(text).get("connections_accepted_total"), 0);
}, { forms: ["deno"] });

claim(
  "without the permission to set the mode, a unix socket is refused with the remedy",
  async (t) => {
    const outcome = await t.fails({ options: ["--metrics", join(t.dir, "metrics")] });
    assertStrictEquals(outcome.status, 111);
    assertMatch(outcome.stderr, /^sslserver: .*deno run needs --allow-sys, without names/m);
    assert(!fs.existsSync(join(t.dir, "metrics")));
  },
  { forms: ON_DENO },
);
