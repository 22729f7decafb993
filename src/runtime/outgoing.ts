/** Makes connections by libc, for both adapters. The adapter waits until the socket is writable,
 *  and takes it over. */

import { parseIp } from "../codec/ip.ts";
import { type Libc, POLL } from "./libc/libc.ts";
import type { ConnectTarget } from "./runtime.ts";

/** Waits until `fd` may be writable, or `signal` aborts. */
export type WaitWritable = (fd: number, signal: AbortSignal) => Promise<void>;

/** Returns the descriptor of a new connection. Rejects with SystemError, or with the reason of
 *  `signal`, after it has closed the descriptor. */
export async function connectByLibc(
  libc: Libc,
  target: ConnectTarget,
  signal: AbortSignal,
  wait: WaitWritable,
): Promise<number> {
  signal.throwIfAborted();
  const fd = libc.connectSocket(target, localEnd(target));
  try {
    while (libc.poll(fd, POLL.out, 0) === 0) {
      await wait(fd, signal);
      signal.throwIfAborted();
    }
    const error = libc.connectError(fd);
    if (error) throw error;
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Where to bind. A port alone is bound on every address of the target's family. */
function localEnd({ ip, scopeId, localIp, localPort = 0 }: ConnectTarget) {
  if (localIp === undefined && localPort === 0) return undefined;
  const any = parseIp(ip).length === 4 ? "0.0.0.0" : "::";
  return {
    ip: localIp ?? any,
    port: localPort,
    ...(scopeId === undefined ? {} : { scopeId }),
  };
}
