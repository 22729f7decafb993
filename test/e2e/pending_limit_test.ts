/** Silent clients do not lock out others: a good client is served at once, even at the --pending limit. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { silent, talk } from "./clients.ts";
import { claim, type Server, settled, type Trial } from "./harness.ts";

/** The delay that silent clients may add to a conversation, in milliseconds. */
const AT_ONCE = 500;

/** The duration of one conversation, in milliseconds. */
async function conversation(t: Trial, server: Server): Promise<number> {
  const { text, facts } = await talk(t, server, "", ["-e", "stay"]);
  assertStrictEquals(text, "hello\n");
  return Number(facts["ms"]);
}

/** Asserts that one of five conversations is as quick as before. A busy machine may delay some of them. */
async function servesAtOnce(t: Trial, server: Server, before: number): Promise<void> {
  const waits: number[] = [];
  while (waits.length < 5 && !waits.some((ms) => ms < before + AT_ONCE)) {
    waits.push(await conversation(t, server));
  }
  assert(waits.some((ms) => ms < before + AT_ONCE), `${waits} ms, before: ${before} ms`);
}

for (const [what, bytes] of [["have sent nothing", 0], ["have sent half a hello", 9]] as const) {
  claim(`1,000 connections that ${what}: a good client is served within 0.5 s`, async (t) => {
    const server = await t.start({ options: ["--pending", "2000"], program: ["echo", "hello"] });
    const before = await conversation(t, server);
    const held = await silent(t, server, 1000, bytes);
    for (let i = 0; i < 3; i++) await servesAtOnce(t, server, before);
    assertStrictEquals(await held.open(), 1000);
  }, { timeout: 90_000 });
}

claim("the default --pending reached by silent clients: the oldest is closed", async (t) => {
  const server = await t.start({ program: ["echo", "hello"] });
  const before = await conversation(t, server);
  const held = await silent(t, server, 1000);
  for (let i = 0; i < 3; i++) await servesAtOnce(t, server, before);
  const left = await held.open();
  // Each worker has its share of --pending, and the kernel does not distribute connections evenly.
  const least = server.workers().length > 1 ? 500 : 995;
  assert(left >= least && left < 1000, `${left} of 1000 are still open`);
}, { timeout: 90_000 });

claim("--pending 10: at most the 10 newest are kept", async (t) => {
  const server = await t.start({ options: ["--pending", "10"], program: ["echo", "hello"] });
  const held = await silent(t, server, 30);
  const left = await settled(() => held.open(), (n) => n <= 10);
  assert(left <= 10, `${left} are open`);
  const { text } = await talk(t, server);
  assertStrictEquals(text, "hello\n");
  const lines = await server.waitFor(
    /^sslserver: error: unable to accept TLS from: 127\.0\.0\.1 /,
    20,
  );
  assertMatch(lines[0] ?? "", /too many connections are pending/);
});
