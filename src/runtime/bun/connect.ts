/** Connections that this process makes, on Bun: by libc, because Bun cannot choose the local end or
 *  the interface, and cannot abort an attempt. */

import type { Libc } from "../libc/libc.ts";
import { connectByLibc } from "../outgoing.ts";
import type { ClientSocket, ConnectTarget } from "../runtime.ts";
import { POLLED, poller } from "./poll.ts";
import { adoptConnection } from "./socket.ts";

/** Without epoll: milliseconds between two checks. */
const LOOK_AGAIN = 5;

/** See `Runtime.connect`. */
export async function connectTcp(
  libc: Libc,
  target: ConnectTarget,
  signal: AbortSignal,
): Promise<ClientSocket> {
  const fd = await connectByLibc(libc, target, signal, writable);
  return await adoptConnection(libc, fd);
}

function writable(fd: number, signal: AbortSignal): Promise<void> {
  const polled = poller();
  return new Promise((resolve) => {
    const timer = polled ? undefined : setTimeout(() => done(), LOOK_AGAIN);
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      polled?.forget(fd);
      resolve();
    };
    signal.addEventListener("abort", done);
    polled?.watch(fd, POLLED.out, { ready: done });
  });
}
