/** -b n: the kernel's listen backlog is n. */

import { assertStrictEquals } from "@std/assert";
import { stdout } from "./clients.ts";
import { claim, type Server, settled, type Trial } from "./harness.ts";

/** The backlog in the kernel: the Send-Q of a listening socket. */
async function backlog(t: Trial, server: Server): Promise<number> {
  const outcome = await t.run("ss", ["-Hltn", `sport = :${server.port}`]);
  return Number(stdout(outcome).trim().split(/\s+/)[2]);
}

for (const n of [1, 7, 600]) {
  claim(`-b ${n}`, async (t) => {
    const server = await t.start({ options: ["-b", String(n)] });
    assertStrictEquals(await settled(() => backlog(t, server), (seen) => seen === n), n);
  });
}

claim("the default is 1024", async (t) => {
  const server = await t.start();
  assertStrictEquals(await settled(() => backlog(t, server), (n) => n === 1024), 1024);
});

claim("-b stays when accepting was held back and went on", async (t) => {
  const { talk } = await import("./clients.ts");
  const server = await t.start({
    options: ["-b", "9", "-c", "1"],
    program: ["sh", "-c", "sleep 0.3; cat"],
  });
  await Promise.all([talk(t, server), talk(t, server), talk(t, server)]);
  // When a worker resumes accepting, its runtime briefly sets another backlog.
  assertStrictEquals(await settled(() => backlog(t, server), (n) => n === 9), 9);
});
