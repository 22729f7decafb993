/** Restarts under load, as `svc -t` does them: the old worker serves its connections to the end. With a
 *  socket of the supervisor no connection is refused. RESTARTS is the number of restarts (default 5). */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { furnish, server as command, supervised, supervisor } from "../interop/supervisors.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { LIMIT, settled, WITH_FFI, within } from "./harness.ts";
import { alive, gone, Load, split, workersOf } from "./privsep.ts";

const RESTARTS = Number(process.env["RESTARTS"] ?? 5);

split(`${RESTARTS} restarts at 200 connections a second: none is cut that was taken`, async (t) => {
  const env = environmentOf(await selfSigned(t, "localhost"));
  const options = ["-HRl0", "--workers", "1"];
  let server = await t.start({ options, env });
  const { port } = server;
  const old = new Set<number>();
  const load = await Load.start(t, port, { rate: 200, atOnce: 32 });
  let gap = 0;
  for (let i = 0; i < RESTARTS; i++) {
    await load.served(100);
    for (const pid of await workersOf(server)) old.add(pid);
    const start = performance.now();
    server.signal("SIGTERM");
    const { status } = await within(server.exited, LIMIT, "the monitor did not end");
    assertStrictEquals(status, 0);
    server = await t.start({ options, env, port });
    gap = Math.max(gap, performance.now() - start);
  }
  await load.served(100);
  const counts = await load.end();
  if (process.env["RESTARTS"]) {
    console.log(`${t.form}: ${JSON.stringify({ ...counts, gap: Math.round(gap) })}`);
  }
  assertEquals([counts.cut, counts.denied], [0, 0], load.trouble);
  // Refused connections are permitted, because no process listens while the successor starts.
  for (const pid of old) await gone(pid);
}, { timeout: 60_000 + RESTARTS * 4000 });

supervised(
  `${RESTARTS} restarts on a socket of the supervisor's: nobody is refused either`,
  async (t) => {
    await furnish(t);
    const words = [
      command(t),
      "-HRl0",
      "--workers",
      "1",
      "127.0.0.1",
      "@PORT",
      `${t.dir}/bin/imapd`,
    ];
    const { lines, port } = await supervisor(t, "127.0.0.1", words);
    lines.say("start");
    await lines.wait(/^said READY=1/);
    const load = await Load.start(t, port, { rate: 200, atOnce: 32 });
    const monitors = [];
    for (let i = 1; i <= RESTARTS; i++) {
      await load.served(100);
      monitors.push(Number((await lines.wait(/^started /, i)).slice("started ".length)));
      lines.say("term");
      assertStrictEquals(await lines.wait(/^exited /, i), "exited 0");
      lines.say("start");
      await lines.wait(/^said READY=1/, i + 1);
    }
    await load.served(100);
    const counts = await load.end();
    if (process.env["RESTARTS"]) console.log(`${t.form}: ${JSON.stringify(counts)}`);
    const { refused, denied, cut } = counts;
    assertEquals({ refused, denied, cut }, { refused: 0, denied: 0, cut: 0 }, load.trouble);
    assertEquals(monitors.filter(alive), []);
    lines.say("term");
    assertStrictEquals(await lines.wait(/^exited /, RESTARTS + 1), "exited 0");
    lines.say("quit");
    const exited = (): boolean => lines.child.exitCode !== null;
    assert(await settled(exited, (it) => it), "the supervisor did not end");
  },
  WITH_FFI,
);
