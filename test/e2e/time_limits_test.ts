/** -T and -w close silent connections, and no others. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { Raw, talk } from "./clients.ts";
import { claim, LIMIT, within } from "./harness.ts";

/** The permitted delay after a limit, in milliseconds. */
const SLACK = 5000;

/** These claims mostly wait for timers, so all forms run at the same time. */
const TOGETHER = { together: true } as const;

for (const [what, bytes] of [["nothing", 0], ["half a hello", 9]] as const) {
  claim(
    `-T 2 closes a client that has sent ${what}, after 2 seconds and with one line`,
    async (t) => {
      const server = await t.start({ options: ["-v", "-T", "2"] });
      const start = performance.now();
      const raw = await Raw.connect(server.port);
      if (bytes > 0) raw.send(Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252));
      await raw.closedWithin(2000 + SLACK);
      const took = performance.now() - start;
      assert(took > 1900, `${took} ms`);
      const lines = await server.waitFor(/unable to accept TLS/);
      assertMatch(
        lines[0] ?? "",
        /^sslserver: error: unable to accept TLS from: 127\.0\.0\.1 for pid: [0-9]+ timed out after 2 s$/,
      );
      assertStrictEquals(lines.length, 1);
      assertEquals(server.lines(/^sslserver: (pid|ok|ended)/), []);
    },
    TOGETHER,
  );
}

claim("-T 2 closes a client that sends its ClientHello slowly", async (t) => {
  const server = await t.start({ options: ["-T", "2"] });
  const raw = await Raw.connect(server.port);
  raw.send(Uint8Array.of(22, 3, 1, 2, 0));
  const dribble = setInterval(() => raw.send(Uint8Array.of(0)), 100);
  try {
    await raw.closedWithin(2000 + SLACK);
  } finally {
    clearInterval(dribble);
  }
}, TOGETHER);

claim("-T has no effect after the handshake", async (t) => {
  const server = await t.start({ options: ["-T", "1"] });
  const { text, end } = await talk(t, server, "late\n", ["-w", "2500"]);
  assertStrictEquals(text, "late\n");
  assertStrictEquals(end, "close_notify");
}, TOGETHER);

claim("-w 2 closes a silent connection and ends its program", async (t) => {
  const server = await t.start({ options: ["-v", "-w", "2"], program: ["sleep", "1000"] });
  const { facts, end } = await talk(t, server, "", ["-e", "stay"]);
  assert(Number(facts["ms"]) > 1900 && Number(facts["ms"]) < 2000 + SLACK, `${facts["ms"]} ms`);
  assertStrictEquals(end, "close_notify");
  await server.waitFor(/^sslserver: ended by [0-9]+ status 15$/);
  await server.noChildren();
}, TOGETHER);

claim("--kill-after 1 ends a program that ignores the SIGTERM of -w", async (t) => {
  const server = await t.start({
    options: ["-v", "-w", "1", "--kill-after", "1"],
    program: ["sh", "-c", "trap '' TERM; exec sleep 1000"],
  });
  await talk(t, server, "", ["-e", "stay"]);
  await server.waitFor(/^sslserver: ended by [0-9]+ status 9$/);
  await server.noChildren();
}, TOGETHER);

claim("-w 2: data sent before the limit arrives, then close_notify", async (t) => {
  const server = await t.start({
    options: ["-w", "2"],
    program: ["sh", "-c", "head -c 100000 /dev/zero; exec sleep 1000"],
  });
  // The client begins to read long after the server has closed.
  const { facts, end } = await talk(t, server, "", ["-e", "stay", "-d", "-p", "6000"]);
  assertStrictEquals(facts["received"], "100000");
  assertStrictEquals(end, "close_notify");
}, TOGETHER);

claim("-w 2 does not close a connection with occasional traffic", async (t) => {
  const server = await t.start({
    options: ["-w", "2"],
    program: ["sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 1; done"],
  });
  const { text, end } = await talk(t, server, "", ["-e", "stay"]);
  assertStrictEquals(text, "1\n2\n3\n4\n");
  assertStrictEquals(end, "close_notify");
}, TOGETHER);

claim("-w 2 does not close a slow but steady reader", async (t) => {
  const server = await t.start({
    options: ["-w", "2"],
    program: ["sh", "-c", "head -c 3000000 /dev/zero"],
  });
  // Takes five seconds; most of that time the kernel's buffers are full.
  const { facts, end } = await talk(t, server, "", ["-e", "stay", "-d", "-r", "600000"]);
  assertStrictEquals(facts["received"], "3000000");
  assertStrictEquals(end, "close_notify");
}, TOGETHER);

claim("a slow reader gets everything, long after its program has ended", async (t) => {
  const server = await t.start({
    options: ["-v"],
    program: ["head", "-c", "2500000", "/dev/zero"],
  });
  // Takes 13 seconds, longer than the 10 that a client has to close once it has everything.
  const { facts, end } = await talk(t, server, "", ["-d", "-r", "190000"]);
  assertStrictEquals(facts["received"], "2500000");
  assertStrictEquals(end, "close_notify");
}, TOGETHER);

claim("a slow reader gets everything, also after SIGTERM", async (t) => {
  const server = await t.start({
    options: ["-v"],
    program: ["head", "-c", "2500000", "/dev/zero"],
  });
  const reading = talk(t, server, "", ["-d", "-r", "600000"]);
  await server.waitFor(/^sslserver: ok /);
  server.signal("SIGTERM");
  const { facts, end } = await reading;
  assertStrictEquals(facts["received"], "2500000");
  assertStrictEquals(end, "close_notify");
  const { status } = await within(server.exited, LIMIT, "it did not end");
  assertStrictEquals(status, 0);
}, TOGETHER);
