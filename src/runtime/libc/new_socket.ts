/** New sockets, closed on exec. Linux sets the flags when it makes a socket; macOS needs a call for
 *  each flag. */

import type { Abi } from "./abi.ts";
import type { Caller } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";

const SOCK = { stream: 1, dgram: 2 } as const;

/** The properties of a new socket, besides its family. */
export interface NewSocket {
  readonly type: keyof typeof SOCK;
  readonly blocking: boolean;
}

/** Flags of socket(2) and accept4(2). */
export function socketFlags({ os, constants: k }: Abi, blocking = false): number {
  return os === "linux" ? k.O_CLOEXEC | (blocking ? 0 : k.O_NONBLOCK) : 0;
}

/** Sets the flags of a socket on a system that does not set them when it makes the socket. */
export function markSocket(
  { os }: Abi,
  descriptors: DescriptorCalls,
  fd: number,
  blocking = false,
): void {
  if (os === "linux") return;
  descriptors.setCloseOnExec(fd, true);
  if (!blocking) descriptors.setNonBlocking(fd, true);
}

/** Makes a socket and hands it to `prepare`; closes it when that throws. */
export function newSocket(
  c: Caller,
  descriptors: DescriptorCalls,
  family: number,
  { type, blocking }: NewSocket,
  prepare: (fd: number) => void,
): number {
  const fd = c.value("socket", family, SOCK[type] | socketFlags(c.abi, blocking), 0);
  try {
    markSocket(c.abi, descriptors, fd, blocking);
    prepare(fd);
    return fd;
  } catch (error) {
    descriptors.close(fd);
    throw error;
  }
}
