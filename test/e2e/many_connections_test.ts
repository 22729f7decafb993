/** Connections with random sizes and endings, 50 at once: every byte that should arrive arrives, every
 *  program is reaped, no descriptor is left. E2E_CONNECTIONS is their number (default 500; use 5,000 for a
 *  run by hand). E2E_SEED selects another series. */

import { assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { claim, helper } from "./harness.ts";
import { talk } from "./clients.ts";

const COUNT = Number(process.env["E2E_CONNECTIONS"] ?? 500);
const SEED = process.env["E2E_SEED"] ?? "1";

claim(`${COUNT} connections of random sizes and endings, 50 at once, lose nothing`, async (t) => {
  const [client, program] = [await helper("client"), await helper("program")];
  const server = await t.start({ options: ["-v", "-c", "50"], program: [program, "talk"] });
  await talk(t, server, "", ["-e", "half"]);
  await server.noChildren();
  const before = server.descriptors().length;
  const args = ["many", String(server.port), String(COUNT), "50", SEED];
  const outcome = await t.run(client, args, { limit: 500_000 });
  assertMatch(outcome.stderr, new RegExp(`^ok=${COUNT}\nfailed=0\n$`), outcome.stderr);
  const started = server.lines(/^sslserver: ok /).length;
  await server.waitFor(/^sslserver: ended by [0-9]+ status /, started);
  await server.noChildren();
  await server.descriptorsBackTo(before);
  assertEquals(server.lines(/^program /), [], "a program saw wrong bytes");
}, { timeout: 600_000 });
