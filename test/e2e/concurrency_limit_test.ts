/** -c: at most n programs at once; the others wait and are served. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { talk } from "./clients.ts";
import { claim, settled } from "./harness.ts";

claim("-c 3 with 10 clients: never more than 3 programs, all 10 served", async (t) => {
  const go = join(t.dir, "go"); // the programs of the first three wait for it
  const server = await t.start({
    options: ["-v", "-c", "3"],
    program: ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done; cat', go],
  });
  const clients = Array.from({ length: 10 }, (_, i) => talk(t, server, `client ${i}\n`));
  const running = (): number => server.children().length;
  let most = await settled(running, (count) => count >= 3);
  fs.writeFileSync(go, "");
  let over = false;
  const all = Promise.all(clients).finally(() => over = true);
  await settled(() => most = Math.max(most, running()), () => over);
  const texts = (await all).map(({ text }) => text).sort();
  assertEquals(texts, Array.from({ length: 10 }, (_, i) => `client ${i}\n`).sort());
  assertStrictEquals(most, 3);
  await server.waitFor(/^sslserver: ended by /, 10);
  const status = server.lines(/^sslserver: status: /);
  const counts = status.map((line) => Number(/ ([0-9]+)\/3\/0$/.exec(line)?.[1]));
  assert(counts.every((n) => n <= 3), status.join("\n"));
  assert(counts.includes(3));
});

claim(
  "a waiting client that leaves starts no program and keeps no slot",
  async (t) => {
    const server = await t.start({ options: ["-v", "-c", "1"], program: ["sh", "-c", "cat"] });
    const held = talk(t, server, "held\n", ["-w", "1500"]);
    await server.waitFor(/^sslserver: ok /);
    await Promise.all([1, 2, 3].map(() => talk(t, server, "gone\n", ["-e", "reset"], 10_000)));
    assertStrictEquals((await held).text, "held\n");
    const { text } = await talk(t, server, "next\n");
    assertStrictEquals(text, "next\n");
    await server.noChildren();
  },
);
