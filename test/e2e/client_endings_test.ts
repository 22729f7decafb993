/** Ends of connections that the rows of endings_test.ts lack: with -v and -V, immediately after the
 *  handshake, and of clients that do not read. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { talk } from "./clients.ts";
import { claim, settled } from "./harness.ts";

const NO_NOTIFY =
  /^sslserver: info: end of data without close_notify from: 127\.0\.0\.1 for pid: [0-9]+$/;

for (const version of ["-2", "-3"]) {
  const name = version === "-2" ? "TLS 1.2" : "TLS 1.3";

  claim(`a FIN without close_notify is reported only with -V, ${name}`, async (t) => {
    const [loud, quiet] = [await t.start({ options: ["-V"] }), await t.start({ options: ["-v"] })];
    for (const ending of ["half", "fin"]) {
      for (const server of [loud, quiet]) {
        const { text } = await talk(t, server, "12", [version, "-e", ending]);
        assertStrictEquals(text, "12");
      }
    }
    await loud.waitFor(/^sslserver: ended by/, 2);
    await quiet.waitFor(/^sslserver: ended by/, 2);
    await loud.waitFor(NO_NOTIFY);
    assertStrictEquals(loud.lines(NO_NOTIFY).length, 1, loud.log());
    assertEquals(quiet.lines(/close_notify/), []);
    assertEquals(loud.lines(/error/), []);
  });

  claim(`a forged record right behind the handshake has its reason, ${name}`, async (t) => {
    const server = await t.start({ options: ["-v"] });
    for (let n = 1; n <= 10; n++) {
      await talk(t, server, "", [version, "-e", "forge"]);
      // The server may read the record together with the client's last handshake message.
      const lines = await server.waitFor(/error/, n);
      assertMatch(
        lines.at(-1) as string,
        / unable to (speak|accept) TLS from: \S+ for pid: [0-9]+ bad record mac$/,
      );
    }
    assertStrictEquals(server.lines(/error/).length, 10);
    await server.noChildren();
  });

  claim(`a reset right behind the handshake has its reason, ${name}`, async (t) => {
    const server = await t.start({ options: ["-v"] });
    for (let n = 1; n <= 10; n++) {
      await talk(t, server, "", [version, "-e", "reset"]);
      // In TLS 1.3 the reset may overtake the client's last handshake message.
      const lines = await server.waitFor(/error/, n);
      assertMatch(
        lines.at(-1) as string,
        / unable to (speak|accept) TLS from: \S+ for pid: [0-9]+ connection reset by the peer$/,
      );
    }
    assertStrictEquals(server.lines(/error/).length, 10);
    await server.noChildren();
  });
}

claim("a client that does not read counts for MAXCONIP until its socket is closed", async (t) => {
  const server = await t.start({
    options: ["-v", "-w", "3"],
    env: { MAXCONIP: "2" },
    program: ["head", "-c", "150000", "/dev/zero"],
  });
  const stalled = ["-d", "-p", "30000", "-e", "stay"];
  // The end of the trial kills both.
  for (let n = 1; n <= 2; n++) talk(t, server, "", stalled).catch(() => {});
  await server.waitFor(/^sslserver: ended by [0-9]+ status 0$/, 2);
  const third = await talk(t, server);
  assertMatch(third.end, /^no handshake/);
  await server.waitFor(/ip connection limit of 2 exceeded for: 127\.0\.0\.1/);
  // The server closes both after three seconds in which they read nothing.
  const fourth = await settled(
    () => talk(t, server, "", ["-d"]),
    ({ end }) => !end.startsWith("no handshake"),
  );
  assertStrictEquals(fourth.end, "close_notify");
  assertStrictEquals(fourth.facts["received"], "150000");
});
