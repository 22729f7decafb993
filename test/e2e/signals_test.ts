/** Signals: SIGTERM frees the port at once and drains, a second SIGTERM ends the server, SIGHUP reads the
 *  files again. A program has the signal state and descriptors that a shell would give it. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { listens } from "../tcp_table.ts";
import { portIsFree, Raw, talk } from "./clients.ts";
import { ALONE, claim, helper, LIMIT, settled, WITH_FFI, within } from "./harness.ts";

claim(
  "SIGTERM frees the port at once, lets connections finish, and the exit code is 0",
  async (t) => {
    const go = join(t.dir, "go"); // ends the program after the successor has started, however long that takes
    const program = ["sh", "-c", 'read x; until [ -e "$0" ]; do sleep 0.1; done; echo $x; cat', go];
    const server = await t.start({ options: ALONE, program });
    const running = talk(t, server, "first\nrest\n", ["-w", "500"]);
    await settled(() => server.children(), (pids) => pids.length === 1);
    server.signal("SIGTERM");
    assert(
      await settled(() => portIsFree(server.port), (free) => free),
      "the port is held",
    );
    const successor = await t.start({ port: server.port });
    assert(server.running);
    assertStrictEquals((await talk(t, successor, "new\n")).text, "new\n");
    fs.writeFileSync(go, "");
    const { text, end } = await running;
    assertStrictEquals(text, "first\nrest\n");
    assertStrictEquals(end, "close_notify");
    const { status } = await within(server.exited, LIMIT, "it did not end");
    assertStrictEquals(status, 0);
  },
);

claim("SIGTERM or SIGINT without connections ends the server at once with 0", async (t) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const server = await t.start();
    const start = performance.now();
    server.signal(signal);
    const { status } = await within(server.exited, LIMIT, "it did not end");
    assertStrictEquals(status, 0);
    assert(performance.now() - start < 3000);
  }
});

claim("SIGTERM does not wait for silent clients", async (t) => {
  const server = await t.start();
  const raw = await Raw.connect(server.port);
  server.signal("SIGTERM");
  await raw.closedWithin();
  const { status } = await within(server.exited, LIMIT, "it did not end");
  assertStrictEquals(status, 0);
});

claim("a second SIGTERM ends connections and programs", async (t) => {
  const server = await t.start({ options: ALONE, program: ["sleep", "1000"] });
  const held = talk(t, server, "", ["-e", "stay"]);
  await settled(() => server.children(), (pids) => pids.length === 1);
  server.signal("SIGTERM");
  await settled(() => listens(server.port), (on) => !on);
  assert(server.running);
  server.signal("SIGTERM");
  const { status } = await within(server.exited, LIMIT, "it did not end");
  assertStrictEquals(status, 0);
  assertMatch((await held).end, /^(close_notify|eof|reset)$/);
});

claim("SIGQUIT ends connections and programs at once", async (t) => {
  const server = await t.start({ options: ALONE, program: ["sleep", "1000"] });
  const held = talk(t, server, "", ["-e", "stay"]);
  await settled(() => server.children(), (pids) => pids.length === 1);
  server.signal("SIGQUIT");
  const { status } = await within(server.exited, LIMIT, "it did not end");
  assertStrictEquals(status, 0);
  assertMatch((await held).end, /^(close_notify|eof|reset)$/);
  assert(await settled(() => portIsFree(server.port), (free) => free));
});

claim("other signals are ignored, also by workers", async (t) => {
  const server = await t.start();
  for (const pid of [server.pid, ...server.workers()]) {
    for (
      const name of ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO"] as const
    ) {
      process.kill(pid, name);
    }
  }
  assertStrictEquals((await talk(t, server, "still\n")).text, "still\n");
  for (const pid of server.workers()) {
    for (const name of ["SIGINT", "SIGQUIT"]) process.kill(pid, name);
  }
  assertStrictEquals((await talk(t, server, "still\n")).text, "still\n");
  assert(server.running);
});

claim("SIGPIPE and SIGCHLD from outside are harmless", async (t) => {
  const server = await t.start();
  server.signal("SIGPIPE");
  process.kill(server.pid, "SIGCHLD");
  assertStrictEquals((await talk(t, server, "still\n")).text, "still\n");
});

claim(
  "the program's signals are default and unblocked; its descriptors are 0, 1 and 2",
  async (t) => {
    const program = await helper("program");
    const server = await t.start({ program: [program, "state"] });
    const { text } = await talk(t, server);
    const fds = text.split("\n").filter((line) => line.startsWith("fd "));
    assertEquals(fds.map((line) => line.split(" ")[1]), ["0", "1", "2"], text);
    assertMatch(fds[0] ?? "", /^fd 0 pipe:/);
    assertMatch(fds[1] ?? "", /^fd 1 pipe:/);
    assertStrictEquals(fds[2], `fd 2 ${server.logFile}`);
    for (const name of ["SigBlk", "SigIgn"]) {
      const mask = BigInt(`0x${new RegExp(`^${name}:\t([0-9a-f]{16})$`, "m").exec(text)?.[1]}`);
      // Signals 32 and 33 are reserved by the C library, which does not let programs change them.
      assertStrictEquals(mask & ~0x1_8000_0000n, 0n, text);
    }
  },
);

claim("descriptors that the server inherited are not handed on", async (t) => {
  const program = await helper("program");
  const prelude = "exec 5</dev/null 7</etc/hostname";
  const server = await t.start({ program: [program, "state"], prelude });
  const { text } = await talk(t, server);
  const fds = text.split("\n").filter((line) => line.startsWith("fd ")).map((line) =>
    line.split(" ")[1]
  );
  assertEquals(fds, ["0", "1", "2"], text);
  // Without FFI, Deno passes them on: only libc can mark them as close-on-exec.
}, { forms: WITH_FFI });

claim("programs under load get no descriptor of another connection", async (t) => {
  const program = await helper("program");
  const server = await t.start({ program: [program, "state"] });
  const all = await Promise.all(Array.from({ length: 20 }, () => talk(t, server)));
  for (const { text } of all) {
    const fds = text.split("\n").filter((line) => line.startsWith("fd "));
    assertStrictEquals(fds.length, 3, text);
  }
});
