/** --echo: what clients get, and that limits, metrics, log and drain are as for programs. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { Guest } from "./admission.ts";
import { talk } from "./clients.ts";
import { ALONE, claim, settled } from "./harness.ts";
import { curl, samples, where } from "./metrics.ts";

claim(
  "--echo: bytes come back without a program, and -c, metrics and log count the clients",
  async (t) => {
    const server = await t.start({
      options: ["-v", "-c", "2", "--metrics", "127.0.0.1:0", "--echo"],
      program: [],
    });
    const url = await where(server);
    const bytes = new Uint8Array(3_000_000).map((_, i) => (i * 7) ^ (i >> 8));
    const { bytes: back, end } = await talk(t, server, bytes);
    assertEquals([back.length, end], [bytes.length, "close_notify"]);
    assert(back.every((byte, i) => byte === bytes[i]));

    // Two clients take all slots; a third waits until one of them has gone.
    const held = [new Guest(server.port), new Guest(server.port)];
    const running = async () => samples(await curl(t, url)).get("handlers_running");
    assertStrictEquals(await settled(running, (n) => n === 2), 2);
    const third = talk(t, server, "third\n");
    for (const guest of held) await guest.echoes("held");
    for (const guest of held) guest.leave();
    assertStrictEquals((await third).text, "third\n");
    await server.waitFor(/^sslserver: ended by [0-9]+ status 0/, 4);
    const counts = samples(await curl(t, url));
    assertStrictEquals(counts.get("programs_running"), 0);
    assertStrictEquals(counts.get('programs_total{result="ok"}'), 4);
    const most = server.lines(/^sslserver: status: /).map((line) =>
      Number(/ ([0-9]+)\//.exec(line)?.[1])
    );
    assert(most.every((n) => n <= 2) && most.includes(2), most.join());
    assertEquals(server.children(), []);
  },
);

claim("--echo: SIGTERM frees the port, and a connection goes on", async (t) => {
  const server = await t.start({ options: ["-v", ...t.oneSpeaker, "--echo"], program: [] });
  const long = talk(t, server, "still here\n", ["-w", "1500"]);
  await server.waitFor(/^sslserver: ok /);
  server.child.kill("SIGTERM");
  assertStrictEquals((await long).text, "still here\n");
});

claim("--echo takes no program, and -n is refused", async (t) => {
  for (
    const [options, program, message] of [
      [["--echo"], ["cat"], /^sslserver: fatal: --echo serves in place of a program/m],
      [["-n", "--echo"], [], /^sslserver: fatal: -n is for programs, not for --echo$/m],
    ] as const
  ) {
    const { status, stderr } = await t.fails({ options: [...ALONE, ...options], program });
    assertStrictEquals(status, 100);
    assertMatch(stderr, message);
  }
}, { together: true });
