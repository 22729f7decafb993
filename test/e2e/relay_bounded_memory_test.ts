/** Many bytes each way arrive unchanged, in bounded memory, whichever side stops reading.
 *  E2E_BYTES is the number of bytes each way (default 256 MiB; use 2 GiB for a run by hand). */

import { assert, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import process from "node:process";
import { talk } from "./clients.ts";
import { claim, type Trial } from "./harness.ts";

const BYTES = Number(process.env["E2E_BYTES"] ?? 256 << 20);
const WORKERS = Number(process.env["E2E_WORKERS"] ?? 1);
/** The memory limit in MiB of a server with one connection (docs/specification.md#program).
 *  Under Deno each further worker is another Deno process of about 60 MiB. */
const memory = (t: Trial): number => 150 + (t.onDeno ? 70 * Math.max(0, WORKERS - 1) : 0);
const PAUSE_MS = 2000;

for (const version of ["-2", "-3"]) {
  const name = version === "-2" ? "TLS 1.2" : "TLS 1.3";
  claim(`${BYTES >> 20} MiB each way come back unchanged, with a pause, ${name}`, async (t) => {
    const server = await t.start();
    const options = [
      "-n",
      String(BYTES),
      "-d",
      version,
      "-P",
      String(BYTES >> 2),
      "-p",
      `${PAUSE_MS}`,
    ];
    const work = talk(t, server, "", options, 600_000);
    const peak = await server.peakDuring(work);
    const { facts, end } = await work;
    assertStrictEquals(end, "close_notify");
    assertStrictEquals(facts["sent"], String(BYTES));
    assertStrictEquals(facts["received"], String(BYTES));
    assertStrictEquals(facts["received_sha256"], facts["sent_sha256"]);
    assert(peak < memory(t), `memory went up to ${peak.toFixed(0)} MiB`);
  }, { timeout: 600_000 });
}

const SIZE = 20_000_000;

claim(
  "20 MB for a reader that takes 1 KB/s, then all of it: bounded memory, every byte",
  async (t) => {
    const file = join(t.dir, "data");
    const data = randomBytes(SIZE);
    fs.writeFileSync(file, data);
    const server = await t.start({ program: ["cat", file] });
    // Reads 1000 bytes, pauses for 3 s, then reads the rest at full speed.
    const work = talk(t, server, "", ["-e", "stay", "-p", "3000", "-P", "1000"]);
    const peak = await server.peakDuring(work);
    const { bytes, end } = await work;
    assertStrictEquals(end, "close_notify");
    assertStrictEquals(sha256(bytes), sha256(data));
    assert(peak < memory(t), `memory went up to ${peak.toFixed(0)} MiB`);
  },
  { together: true },
);

claim("a client that sends 100 MB to a program that does not read holds no memory", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "sleep 2; wc -c"] });
  const size = 100_000_000;
  const work = talk(t, server, "", ["-n", String(size)]);
  const peak = await server.peakDuring(work);
  const { text } = await work;
  assertStrictEquals(text.trim(), String(size));
  assert(peak < memory(t), `memory went up to ${peak.toFixed(0)} MiB`);
});

claim("a program that writes to a client that does not read is stopped", async (t) => {
  const server = await t.start({ program: ["yes"] });
  // The client stops reading after 8 MB, which is much more than the kernel's buffers hold.
  const work = talk(t, server, "", ["-e", "stay", "-p", "2500", "-P", "8000000", "-d"], 8000)
    .catch(() => undefined);
  const peak = await server.peakDuring(work);
  assert(peak < memory(t), `memory went up to ${peak.toFixed(0)} MiB`);
  await server.stop();
}, { together: true });

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
