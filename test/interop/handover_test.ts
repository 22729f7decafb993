/** Debian's systemd, s6 and runit as supervisors, with the files of examples/, in which only ports, paths
 *  and users are replaced: the server uses the inherited socket, reports when it is ready, and a restart
 *  loses neither open nor new connections. A test cannot run systemd itself: systemd-socket-activate starts
 *  the server like systemd, and test/data/supervisor.py restarts it. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { talk } from "../e2e/clients.ts";
import { formCommand, isRoot, ROOT, settled, WITH_FFI } from "../e2e/harness.ts";
import {
  Conversation,
  ended,
  furnish,
  Lines,
  marked,
  need,
  server,
  supervised,
  supervisor,
  terminated,
  translated,
} from "./supervisors.ts";
import { freePort } from "../free_port.ts";

supervised(
  "systemd-socket-activate hands its socket over, and no program hears of it",
  async (t) => {
    need("/usr/bin/systemd-socket-activate", "systemd");
    await furnish(t, "env");
    const port = await freePort();
    const words = [
      ...["-E", `CERTFILE=${t.dir}/mx.pem`, "-E", `KEYFILE=${t.dir}/mx.key`],
      ...["-l", `127.0.0.1:${port}`, server(t), "-HRl0", "127.0.0.1", String(port)],
      join(t.dir, "bin/imapd"),
    ];
    const child = t.spawn("systemd-socket-activate", words, marked(t));
    const lines = new Lines(t, child);
    await settled(() => lines.stderr, (text) => text.includes("Listening on"));
    const { text, end } = await talk(t, port);
    assertStrictEquals(end, "close_notify", lines.stderr);
    assertMatch(text, /^SSLREMOTEIP=127\.0\.0\.1$/m);
    assertNotMatch(text, /^(?:LISTEN|NOTIFY|WATCHDOG)_/m);
    assertStrictEquals(await terminated(child), 0, lines.stderr);
  },
  WITH_FFI,
);

supervised("a restart loses neither who is connected nor who comes meanwhile", async (t) => {
  await furnish(t);
  const command = [server(t), "-HRl0", "127.0.0.1", "@PORT", join(t.dir, "bin/imapd")];
  const { lines, port } = await supervisor(t, "127.0.0.1", command);
  lines.say("start");
  const first = (await lines.wait(/^started /)).slice("started ".length);
  const ready = await lines.wait(/^said READY=1/);
  assertMatch(ready, new RegExp(`^said READY=1\\|MAINPID=${first}(?:\\|STATUS=.*)?$`));
  const held = await Conversation.open(port);
  await held.echo("before\n");

  lines.say("term");
  await lines.wait(/^said STOPPING=1/);
  // The monitor exits although a client is connected, so that the successor can start.
  assertStrictEquals(await lines.wait(/^exited /), "exited 0");
  const waiting = Array.from({ length: 20 }, () => Conversation.open(port));
  await held.echo("between\n");
  lines.say("start");
  await lines.wait(/^said READY=1/, 2);
  for (const [i, one] of (await Promise.all(waiting)).entries()) {
    await one.echo(`meanwhile ${i}\n`);
    await one.end();
  }
  await held.echo("after\n");
  await held.end();

  lines.say("term");
  await lines.wait(/^exited 0$/, 2);
  lines.say("quit");
}, WITH_FFI);

supervised("at SIGHUP the supervisor hears of the reload and of its end", async (t) => {
  await furnish(t);
  const command = [server(t), "-HRl0", ":0", "@PORT", join(t.dir, "bin/imapd")];
  const { lines } = await supervisor(t, "::", command);
  lines.say("start");
  await lines.wait(/^said READY=1/);
  lines.say("hup");
  assertMatch(await lines.wait(/^said RELOADING/), /^said RELOADING=1\|MONOTONIC_USEC=[0-9]+$/);
  await lines.wait(/^said READY=1/, 2);
  const said = lines.all.filter((line) => line.startsWith("said ")).map((line) =>
    line.slice(5, 12)
  );
  assertEquals(said, ["READY=1", "RELOADI", "READY=1"]);
  lines.say("term");
  await lines.wait(/^exited 0$/);
  lines.say("quit");
}, WITH_FFI);

supervised(
  "host and port that say another socket than the inherited one end the start",
  async (t) => {
    await furnish(t);
    const rows = [
      ["127.0.0.1", "0", "1", /unable to listen on 0\.0\.0\.0 port 1: .* is on 127\.0\.0\.1 port/],
      ["::", "0", "@PORT", /unable to listen on 0\.0\.0\.0 port [0-9]+: .* is on :: \(and IPv4\)/],
    ] as const;
    for (const [address, host, port, message] of rows) {
      const command = [server(t), "-HRl0", host, port, join(t.dir, "bin/imapd")];
      const { lines } = await supervisor(t, address, command);
      lines.say("start");
      assertStrictEquals(await lines.wait(/^exited /), `exited ${111 << 8}`);
      assertMatch(lines.stderr, message);
      lines.say("quit");
      await ended(lines.child);
      fs.rmSync(join(t.dir, "notify"));
    }
  },
  WITH_FFI,
);

supervised("without FFI an inherited socket ends the start, with the remedy", async (t) => {
  await furnish(t);
  const [command = "", ...options] = formCommand(t.form, "cat");
  const words = [command, ...options, "-HRl0", "127.0.0.1", "@PORT", "cat"];
  const { lines } = await supervisor(t, "127.0.0.1", words);
  lines.say("start");
  assertStrictEquals(await lines.wait(/^exited /), `exited ${111 << 8}`);
  assertMatch(lines.stderr, /unable to use the socket of \$LISTEN_FDS: Deno without FFI/);
  assertMatch(lines.stderr, /allow FFI: deno run --allow-ffi/);
  lines.say("quit");
}, ["deno-noffi"]);

supervised(
  "examples/systemd is right for systemd, and its command serves on the socket",
  async (t) => {
    need("/usr/bin/systemd-analyze", "systemd");
    await furnish(t, 'echo "$SSLREMOTEIP $MAXCONIP $(id -u)"');
    const port = await freePort();
    const units = join(t.dir, "units");
    fs.mkdirSync(units);
    fs.mkdirSync(join(t.dir, "jail")); // RuntimeDirectory=
    const paths = ["imaps.socket", "imaps.service"].map((name) => {
      fs.writeFileSync(join(units, name), translated(t, `systemd/${name}`, port));
      return join(units, name);
    });
    const verdict = await t.run("systemd-analyze", ["verify", "--man=no", ...paths]);
    assertEquals([verdict.status, verdict.stderr], [0, ""]);

    const unit = fs.readFileSync(paths[1] ?? "", "utf8");
    const values = (name: string): string[] =>
      [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map((match) => match[1] ?? "");
    const environment = values("Environment").flatMap((line) => line.split(" "));
    const [command = ""] = values("ExecStart");
    const child = t.spawn("systemd-socket-activate", [
      ...environment.flatMap((one) => ["-E", one]),
      ...["-l", String(port), ...command.split(" ").filter((word) => word !== "")],
    ], marked(t));
    const lines = new Lines(t, child);
    await settled(() => lines.stderr, (text) => text.includes("Listening on"));
    const { text, end } = await talk(t, port);
    assertStrictEquals(end, "close_notify", lines.stderr);
    assertStrictEquals(text, `127.0.0.1 20 ${isRoot ? 1000 : process.getuid?.()}\n`);
    assertStrictEquals(await terminated(child), 0, lines.stderr);
  },
  WITH_FFI,
);

supervised(
  "examples/s6: s6-svwait -U waits for readiness, s6-svc -r leaves connections alone",
  async (t) => {
    need("/usr/bin/s6-svscan", "s6");
    await furnish(t);
    const port = await freePort();
    const scan = join(t.dir, "service");
    const service = join(scan, "imaps");
    fs.mkdirSync(service, { recursive: true });
    fs.writeFileSync(join(service, "run"), translated(t, "s6/imaps/run", port), { mode: 0o755 });
    fs.copyFileSync(
      join(ROOT, "examples/s6/imaps/notification-fd"),
      join(service, "notification-fd"),
    );
    const svscan = new Lines(t, t.spawn("s6-svscan", [scan], marked(t)));
    const words = (): string => svscan.all.join("\n") + svscan.stderr;
    await settled(() => fs.existsSync(join(service, "supervise/status")), (there) => there);
    const waited = await t.run("s6-svwait", ["-U", "-t", "20000", service]);
    assertStrictEquals(waited.status, 0, `${waited.stderr}${words()}`);
    const state = async (): Promise<string> =>
      new TextDecoder().decode((await t.run("s6-svstat", ["-o", "ready,pid", service])).stdout);
    const before = await state();
    assertMatch(before, /^true [0-9]+$/m, words());
    const held = await Conversation.open(port); // no wait: the server is ready
    await held.echo("before\n");
    const restart = await t.run("s6-svc", ["-wR", "-T", "20000", "-r", service]);
    assertStrictEquals(restart.status, 0, words());
    assertNotStrictEquals(await state(), before);
    const fresh = await Conversation.open(port);
    await fresh.echo("new\n");
    await held.echo("old\n");
    for (const one of [fresh, held]) await one.end();
    await t.run("s6-svscanctl", ["-t", scan]);
    await ended(svscan.child);
  },
  WITH_FFI,
);

supervised("examples/runit: sv term leaves connections alone", async (t) => {
  need("/usr/bin/runsv", "runit");
  await furnish(t);
  const port = await freePort();
  const service = join(t.dir, "imaps");
  fs.mkdirSync(service);
  fs.writeFileSync(join(service, "run"), translated(t, "runit/imaps/run", port), { mode: 0o755 });
  const runsv = new Lines(t, t.spawn("runsv", [service], marked(t)));
  const opened = await settled(
    () => Conversation.open(port).catch(() => undefined),
    (talk) => talk !== undefined,
  );
  assert(opened, runsv.stderr);
  await opened.echo("before\n");
  const pid = (): string => fs.readFileSync(join(service, "supervise/pid"), "utf8");
  const before = pid();
  assertStrictEquals((await t.run("sv", ["term", service])).status, 0);
  assertNotStrictEquals(await settled(pid, (now) => now !== before && now !== ""), before);
  const fresh = await settled(
    () => Conversation.open(port).catch(() => undefined),
    (talk) => talk !== undefined,
  );
  await fresh?.echo("new\n");
  await opened.echo("old\n");
  for (const one of [fresh, opened]) await one?.end();
  assertStrictEquals((await t.run("sv", ["exit", service])).status, 0);
  await ended(runsv.child);
}, WITH_FFI);
