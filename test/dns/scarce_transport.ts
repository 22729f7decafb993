/** Asks by UDP and TCP when no descriptor is free, and again when some are free. Prints the results. */

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { transportOf } from "../../src/dns/transport.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const to = { address: "127.0.0.1", port: Number(process.argv[2]) };
const network = transportOf(await currentRuntime());
const byte = Uint8Array.of(1);
process.on("uncaughtException", (error) => process.stdout.write(`uncaught ${error}\n`));

const udp = () =>
  new Promise<string>((done) => {
    const close = network.udp(to, byte, {
      packet: () => (close(), done("answer")),
      failed: () => (close(), done("failed")),
    });
  });
const tcp = () =>
  new Promise<string>((done) => {
    const close = network.tcp(to, byte, {
      data: () => (close(), done("answer")),
      ended: () => done("failed"),
    });
  });

const say = (text: string) => process.stdout.write(`${text}\n`);
say(`udp ${await udp()}, tcp ${await tcp()}`);
const kept: number[] = [];
try {
  for (;;) kept.push(openSync("/dev/null", "r"));
} catch {
  // no descriptor is left
}
say(`udp ${await udp()}, tcp ${await tcp()}`);
for (const fd of kept) closeSync(fd);
say(`udp ${await udp()}, tcp ${await tcp()}`);
