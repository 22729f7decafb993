/** The worker's side of s6's access rules. The test acts as the monitor. */

import { assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { latin1 } from "../../../src/codec/bytes.ts";
import type { ToMonitor } from "../../../src/privsep/channel.ts";
import type { WorkerMessage } from "../../../src/privsep/messages.ts";
import { RemoteAccess } from "../../../src/privsep/worker/remote_access.ts";

function play(): { access: RemoteAccess; sent: WorkerMessage[]; channel: { open: boolean } } {
  const sent: WorkerMessage[] = [];
  const channel = { open: true, send: (message: WorkerMessage) => void sent.push(message) };
  return { access: new RemoteAccess(channel as unknown as ToMonitor), sent, channel };
}

test("questions carry address and name, and answers find them in any order", async () => {
  const { access, sent } = play();
  const { early, late } = access.looks;
  const first = early.evaluate({ ip: "192.0.2.1" });
  const second = late.evaluate({ ip: "192.0.2.1", host: "a.example", info: "not sent" });
  assertEquals(sent, [
    { kind: "RULES", id: 1, by: "address", ip: "192.0.2.1", host: "" },
    { kind: "RULES", id: 2, by: "host", ip: "192.0.2.1", host: "a.example" },
  ]);
  access.ruled({ kind: "RULED", id: 2, verdict: { allow: false, env: [], kind: "any" } });
  access.ruled({ kind: "RULED", id: 9, verdict: { allow: true, env: [] } });
  access.ruled({
    kind: "RULED",
    id: 1,
    verdict: {
      allow: true,
      env: [["A", "1"], ["B", null]],
      rule: "ip4/192.0.2.0_24",
      kind: "network",
    },
  });
  const { rule, ...result } = await first;
  assertEquals(rule && latin1(rule), "ip4/192.0.2.0_24");
  assertEquals(result, {
    allow: true,
    env: new Map([["A", "1"], ["B", undefined]]),
    kind: "network",
  });
  assertEquals(await second, { allow: false, env: new Map(), kind: "any" });
});

test("without a monitor every client is denied", async () => {
  const { access, channel, sent } = play();
  const open = access.looks.early.evaluate({ ip: "192.0.2.1" });
  channel.open = false;
  access.orphan();
  for (const result of [await open, await access.looks.late.evaluate({ ip: "::1", host: "x" })]) {
    assertEquals(result.allow, false);
    assertMatch(result.error ?? "", /the monitor is gone/);
  }
  assertEquals(sent.length, 1);
});
