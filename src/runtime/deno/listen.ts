/** Listening under Deno: by `Deno.listen`, which needs no FFI, or on a descriptor by libc.
 *
 *  Both accept when asked only, so that `-c` can hold connections back in the kernel, and go on
 *  after EMFILE: a listener that is deaf for good is worse than one that waits. */

import { setImmediate } from "node:timers";
import type { Listener, Socket } from "../runtime.ts";
import { type Libc, POLL, type SocketEndpoint } from "../libc/libc.ts";
import { ConnSocket, NodeSocket } from "./socket.ts";
import { watchReadable } from "./ready.ts";
import type { Tidier } from "./gc.ts";

/** Wait after an accept that failed, mostly for want of descriptors: some will be closed. */
const BACK_OFF_MS = 50;

/** See `Runtime.listen`. `::` takes IPv4 too: Deno cannot do otherwise. */
export function listenHere(
  where: { ip: string; port: number; backlog: number },
  tidier: Tidier,
  onSocket: (socket: Socket) => void,
  onLost: () => void = () => {},
): Listener {
  tidier.soon();
  const count = () => tidier.count();
  const listener = Deno.listen({
    hostname: where.ip,
    port: where.port,
    tcpBacklog: where.backlog,
  });
  let open = true;
  let paused = false;
  /** Accepted by an accept() that was under way when `pause()` came. */
  let held: Deno.TcpConn | undefined;
  let accepting = false;

  const run = async () => {
    accepting = true;
    while (open && !paused) {
      try {
        const conn = held ?? await listener.accept();
        held = undefined;
        if (!open) conn.close();
        else if (paused) held = conn;
        else onSocket(new ConnSocket(conn, count));
      } catch (error) {
        // A client that has gone again costs its own connection only: with a wait for each, one that
        // opens and resets twenty a second would lock everybody out.
        if ((error as { code?: string }).code === "ENOTCONN") {
          onLost();
          continue;
        }
        if (open) await new Promise((done) => setTimeout(done, BACK_OFF_MS));
      }
    }
    accepting = false;
  };
  void run();
  return {
    port: listener.addr.port,
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      if (open && !accepting) void run();
    },
    crowded: false,
    close() {
      if (!open) return;
      open = false;
      held?.close();
      listener.close();
    },
  };
}

/** Connections taken in one go, before other events get their turn. */
const BATCH = 16;

function adopt(
  libc: Libc,
  accepted: { fd: number; peer: SocketEndpoint },
  count: () => void,
): NodeSocket {
  try {
    return new NodeSocket(libc, accepted, count);
  } catch (error) {
    libc.close(accepted.fd);
    throw error;
  }
}

/** See `Runtime.listenDescriptor`. */
export function listenDescriptor(
  libc: Libc,
  { fd, backlog, tidier }: { fd: number; backlog: number; tidier: Tidier },
  onSocket: (socket: Socket) => void,
): Listener {
  tidier.soon();
  const count = () => tidier.count();
  const port = libc.getsockname(fd).port;
  libc.listen(fd, backlog);
  const readiness = watchReadable(libc, fd);
  let open = true;
  let paused = false;
  let accepting = false;

  /** Takes what waits; false when it should come back at once. */
  const acceptBatch = (): boolean => {
    for (let taken = 0; taken < BATCH && open && !paused; taken++) {
      const accepted = libc.acceptDescriptor(fd);
      if (accepted === undefined) return true;
      onSocket(adopt(libc, accepted, count));
    }
    return false;
  };

  const run = async () => {
    accepting = true;
    while (open && !paused) {
      try {
        if (acceptBatch()) await readiness.wait();
        else await new Promise((done) => setImmediate(done));
      } catch {
        await new Promise((done) => setTimeout(done, BACK_OFF_MS));
      }
    }
    accepting = false;
  };
  void run();
  return {
    port,
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      if (open && !accepting) void run();
    },
    get crowded() {
      return open && !paused && libc.poll(fd, POLL.in, 0) > 0;
    },
    close() {
      if (!open) return;
      open = false;
      readiness.close();
      libc.close(fd);
    },
  };
}
