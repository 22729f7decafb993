/** Starts 100 look-ups on a silent server and closes the resolver under them, twice, and must then
 *  end by itself: run by transport_test.ts. A timer left would hold it for a look-up's 30 seconds. */

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { systemClock } from "../../src/dns/clock.ts";
import { resolverFor } from "../admit/helpers.ts";

const silent = createSocket("udp4").bind(0, "127.0.0.1");
await once(silent, "listening");

/** True for the descriptor of a socket. The others are the runtime's, or of this check itself. */
function isSocket(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith("socket:");
  } catch {
    return false;
  }
}

/** Waits until no more sockets are closed. Returns the number of open ones. */
async function sockets(): Promise<number> {
  let last = -1;
  for (let same = 0; same < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = readdirSync("/proc/self/fd").filter(isSocket).length;
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}

/** Returns the number of aborted look-ups, and of sockets open afterwards. */
async function round(): Promise<[aborted: number, sockets: number]> {
  const resolver = resolverFor(`127.0.0.1:${silent.address().port}`, { clock: systemClock });
  const packet = once(silent, "message");
  const waits = Array.from({ length: 100 }, (_, i) => resolver.lookup(`n${i}.test`, "A"));
  await packet;
  resolver.close();
  const lookups = await Promise.all(waits);
  const aborted = lookups.filter(({ status }) => status === "aborted").length;
  return [aborted, await sockets()];
}

// Deno opens its socket pair for signals half a second after the start, or with the first listener.
const ignore = (): void => {};
process.on("SIGWINCH", ignore);
process.off("SIGWINCH", ignore);

// After the first round, the sockets that the runtime keeps are open.
const [, before] = await round();
const [aborted, after] = await round();
console.log(`${aborted} aborted, ${Math.max(0, after - before)} sockets more`);
silent.close();
