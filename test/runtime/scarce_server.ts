/** A server for the contract: prints its port, keeps every connection until its standard input
 *  says something, then greets and closes them, and all that come later. Ends with its input. */

import process from "node:process";
import type { Socket } from "../../src/runtime/runtime.ts";
import { kits, thisRuntime } from "./kits.ts";

const kit = kits(await thisRuntime()).find(({ way }) => way === process.argv[2]);
if (kit === undefined) throw new Error("no such way to listen");

// As in a server: Deno 2.9.6 makes its socketpair for signals then, and panics later where it cannot.
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
