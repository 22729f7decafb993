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

/** True for a descriptor of a socket. Others are the runtime's own; the one of this look is closed again. */
function isSocket(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith("socket:");
  } catch {
    return false;
  }
}

/** How many sockets are open when no more are closed. */
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

/** Returns how many look-ups were called off, and how many sockets are open afterwards. */
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

// Deno opens its socket pair for signals half a second after the start, unless a listener asks for it earlier.
const ignore = (): void => {};
process.on("SIGWINCH", ignore);
process.off("SIGWINCH", ignore);

// What the runtime opens once and keeps open is there after the first round.
const [, before] = await round();
const [aborted, after] = await round();
console.log(`${aborted} aborted, ${Math.max(0, after - before)} sockets more`);
silent.close();
