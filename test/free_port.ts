/** A free port for a server that needs a fixed one. It is below ip_local_port_range, so the kernel does not
 *  give it to a client of another test in the meantime. */

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const LOW = 12_000;
const HIGH = 32_000;
const TRIES = 50;

/** A port that is free for TCP and UDP on all addresses. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = LOW + Math.floor(Math.random() * (HIGH - LOW));
    const tcp = createServer();
    const udp = createSocket("udp4");
    try {
      await once(tcp.listen(port, "0.0.0.0"), "listening");
      await once(udp.bind(port, "0.0.0.0"), "listening");
      return port;
    } catch {
      // The port is taken.
    } finally {
      if (tcp.listening) await new Promise((done) => tcp.close(done));
      udp.close();
    }
  }
  throw new Error("no free port found");
}
