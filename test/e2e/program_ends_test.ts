/** Programs that end at once, cannot be executed, or do not end: the connection closes, nothing is left,
 *  and the server continues. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { listens } from "../tcp_table.ts";
import { talk } from "./clients.ts";
import { ALONE, claim, helper, settled, within } from "./harness.ts";

claim("a program that exits at once closes the connection in order", async (t) => {
  const server = await t.start({ options: ["-v"], program: ["true"] });
  for (let i = 0; i < 5; i++) {
    const { end } = await talk(t, server, "unread", ["-e", "stay"]);
    assertStrictEquals(end, "close_notify");
  }
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/, 5);
  await server.noChildren();
});

claim("an exit code is logged as its wait status", async (t) => {
  const server = await t.start({ options: ["-v"], program: ["sh", "-c", "exit 3"] });
  await talk(t, server);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 768$/);
});

claim("a program killed by a signal is logged with the signal's number", async (t) => {
  const server = await t.start({ options: ["-v"], program: ["sh", "-c", "kill -9 $$"] });
  const { end } = await talk(t, server);
  assertStrictEquals(end, "close_notify");
  await server.waitFor(/^sslserver: ended by [0-9]+ status 9$/);
});

claim("a missing program: logged, the connection closed, the server lives", async (t) => {
  const path = join(t.dir, "no-such-program");
  fs.writeFileSync(path, "#!/bin/sh\n", { mode: 0o755 });
  const server = await t.start({ program: [path] });
  fs.rmSync(path);
  for (const n of [1, 2]) {
    const { bytes, end } = await talk(t, server, "", ["-e", "stay"]);
    assertStrictEquals(bytes.length, 0);
    assertMatch(end, /^(eof|reset)$/);
    await server.waitFor(/^sslserver: error: unable to run \S+no-such-program: .*$/, n);
  }
  assertStrictEquals(server.lines(/unable to run/).length, 2);
  await server.noChildren();
});

claim(
  "a file that cannot be executed: logged, the connection closed, the server lives",
  async (t) => {
    const path = join(t.dir, "plain");
    fs.writeFileSync(path, "no program\n", { mode: 0o644 });
    const server = await t.start({ program: [path] });
    await talk(t, server, "", ["-e", "stay"]);
    await server.waitFor(/^sslserver: error: unable to run .*plain: .*(EACCES|permission denied)/i);
    assert(server.running);
  },
);

claim("a program that is put in place later is found", async (t) => {
  const path = join(t.dir, "later");
  fs.writeFileSync(path, "", { mode: 0o644 });
  const server = await t.start({ program: [path] });
  await talk(t, server);
  fs.rmSync(path);
  fs.writeFileSync(path, "#!/bin/sh\necho now\n", { mode: 0o755 });
  const { text } = await talk(t, server);
  assertStrictEquals(text, "now\n");
});

claim("a program with children: the connection ends when the output ends", async (t) => {
  const server = await t.start({
    options: ["-v"],
    program: ["sh", "-c", "(sleep 0.3; echo late) & echo early"],
  });
  const { text, end } = await talk(t, server, "", ["-e", "stay"]);
  assertStrictEquals(text, "early\nlate\n");
  assertStrictEquals(end, "close_notify");
});

/** Resets one second after the handshake. For a client that resets at once, the server may start no
 *  program. */
const VANISH = ["-w", "1000", "-e", "reset"];

claim("a client that vanishes: its program gets end of file and ends", async (t) => {
  const server = await t.start({
    options: ["-v"],
    program: ["sh", "-c", "cat >/dev/null; echo gone >&2"],
  });
  await talk(t, server, "some", VANISH);
  await server.waitFor(/^gone$/);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/);
  await server.noChildren();
});

claim("a client that vanishes while its program writes: the program ends", async (t) => {
  const server = await t.start({ options: ["-v"], program: ["sh", "-c", "exec yes"] });
  await talk(t, server, "some", VANISH);
  await server.waitFor(/^sslserver: ended by [0-9]+ status (13|256)$/);
  await server.noChildren();
});

claim("a program that does not end when its client is gone gets SIGTERM after -w", async (t) => {
  const server = await t.start({
    options: ["-v", "-w", "2"],
    program: ["sh", "-c", "trap 'echo told >&2; exit 0' TERM; while :; do sleep 0.05; done"],
  });
  await talk(t, server, "some", VANISH);
  await server.waitFor(/^told$/);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/);
});

claim("a second SIGTERM ends programs that ignore theirs", async (t) => {
  const program = await helper("program");
  const server = await t.start({ options: ALONE, program: [program, "stay"] });
  const talking = talk(t, server, "", ["-e", "stay"]);
  await settled(() => server.children(), (pids) => pids.length > 0);
  server.signal("SIGTERM");
  await settled(() => listens(server.port), (on) => !on);
  server.signal("SIGTERM");
  const { status } = await within(server.exited, 15_000, "the server did not end");
  assertStrictEquals(status, 0);
  assertMatch((await talking).end, /^(close_notify|eof|reset)$/);
});
