/** A server for the contract: prints its port, and keeps every connection until it reads something from
 *  standard input. Then it greets and closes these and all later ones. It exits at the end of its input. */

import process from "node:process";
import type { Socket } from "../../src/runtime/runtime.ts";
import { kits, thisRuntime } from "./kits.ts";

const kit = kits(await thisRuntime()).find(({ way }) => way === process.argv[2]);
if (kit === undefined) throw new Error("no such way to listen");

// As sslserver does: Deno 2.9.6 makes its socketpair for signals at the first handler, and panics if it
// cannot make it later.
kit.runtime.onSignal("SIGHUP", () => {});

let free = false;
const kept: Socket[] = [];
const greet = (socket: Socket) => {
  socket.write(new TextEncoder().encode("hi"));
  socket.end();
  socket.resume();
};
const { port } = kit.listen({ ip: "127.0.0.1", backlog: 200 }, (socket) => {
  if (free) greet(socket);
  else kept.push(socket);
});
process.stdout.write(`${port}\n`);
process.stdin.once("data", () => {
  free = true;
  kept.forEach(greet);
});
process.stdin.once("end", () => process.exit(0));
