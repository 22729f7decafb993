/** Listening under Deno: by `Deno.listen`, which needs no FFI, or on a descriptor by libc.
 *
 *  Both accept only when asked, so that `-c` can keep connections in the kernel's queue. After EMFILE they
 *  wait and go on, because a listener must not stop for good. */

import { setImmediate } from "node:timers";
import type { Listener, Socket } from "../runtime.ts";
import { type Libc, POLL, type SocketEndpoint } from "../libc/libc.ts";
import { ConnSocket, NodeSocket } from "./socket.ts";
import { watchReady } from "./ready.ts";
import type { BurstCollector } from "./gc.ts";

/** Wait after an accept that failed, usually because no descriptor was free: some will be
 *  closed. */
const BACK_OFF_MS = 50;

/** See `Runtime.listen`. `::` accepts IPv4 too: Deno has no option against that. */
export function listenHere(
  where: { ip: string; port: number; backlog: number },
  burstCollector: BurstCollector,
  onSocket: (socket: Socket) => void,
  onLost: () => void = () => {},
): Listener {
  burstCollector.collectWhenQuiet();
  const count = () => burstCollector.count();
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
        // The client has gone already. Do not wait then: a client that opens and resets twenty
        // connections a second would lock out all others.
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

/** Connections accepted before other events get their turn. */
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
  { fd, backlog, burstCollector }: { fd: number; backlog: number; burstCollector: BurstCollector },
  onSocket: (socket: Socket) => void,
): Listener {
  burstCollector.collectWhenQuiet();
  const count = () => burstCollector.count();
  const port = libc.getsockname(fd).port;
  libc.listen(fd, backlog);
  const readiness = watchReady(libc, fd, "in");
  let open = true;
  let paused = false;
  let accepting = false;

  /** Accepts what waits. True if the queue is empty; false if more may wait. */
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
