/** A monitor that is killed, as the kernel does when memory runs out: open connections are served to their
 *  end, and workers without a monitor accept no new ones. */

import { assert, assertNotMatch, assertStrictEquals } from "@std/assert";
import process from "node:process";
import tls from "node:tls";
import { portIsFree } from "./clients.ts";
import { LIMIT, settled, within } from "./harness.ts";
import { alive, gone, programOf, split, workersOf } from "./privsep.ts";

split("kill -9 of the monitor: idle workers end by themselves, and the port is free", async (t) => {
  const server = await t.start({ options: ["--workers", "2"] });
  server.expected = undefined;
  const workers = await workersOf(server, 2);
  process.kill(server.pid, "SIGKILL");
  await within(server.exited, LIMIT, "the monitor did not end");
  for (const pid of workers) await gone(pid);
  assert(await settled(() => portIsFree(server.port), (free) => free));
  assertNotMatch(server.log(), /internal error|\bat .*:\d+:\d+/);
});

split(
  "kill -9 of the monitor: clients with a program are served to the end, others are not",
  async (t) => {
    const server = await t.start({ options: ["--workers", "1"] });
    server.expected = undefined;
    const [worker = 0] = await workersOf(server);
    const guest = tls.connect({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
    let text = "";
    guest.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
    const closed = new Promise<void>((resolve) => guest.on("close", () => resolve()));
    guest.on("error", (error) => text += String(error));
    guest.write("hello\n");
    await settled(() => text, (text) => text === "hello\n");
    const program = await programOf(server);
    process.kill(server.pid, "SIGKILL");
    await within(server.exited, LIMIT, "the monitor did not end");
    assert(await settled(() => portIsFree(server.port), (free) => free), "it listens");
    guest.write("still there\n");
    await settled(() => text, (text) => text.includes("still there"));
    assert(alive(worker) && alive(program));
    guest.end();
    await within(closed, LIMIT, "the connection did not end");
    assertStrictEquals(text, "hello\nstill there\n");
    await gone(worker);
    await gone(program);
  },
);
