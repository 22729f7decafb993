/** Inherited descriptors, and files of /proc/self. */

import { readdirSync } from "node:fs";
import type { Libc } from "./libc.ts";

/** Marks inherited descriptors close-on-exec, because a program must not get a listening socket or
 *  a log. They stay open in this process. The runtime itself marks those that it opens. */
export function keepDescriptors(libc: Libc): void {
  let names: string[];
  try {
    names = readdirSync("/dev/fd"); // /proc/self/fd on Linux; needs a permission
  } catch {
    names = Array.from({ length: 1024 }, (_, fd) => String(fd));
  }
  for (const fd of names.map(Number)) {
    if (!(fd > 2)) continue;
    try {
      libc.setCloseOnExec(fd, true);
    } catch {
      // not open, like the descriptor of the listing itself
    }
  }
}

/** True for a stream socket. A parent process of ours passes such a socket, and a user does not
 *  leave one open. */
export function isStreamSocket(libc: Libc, fd: number): boolean {
  try {
    return libc.socketKind(fd).stream;
  } catch {
    return false;
  }
}

/** Largest file of /proc that is read: arguments and environment have 6 MB at most (execve(2)). */
const MAX_OWN = 8 << 20;

/** A file of /proc/self, by libc: Deno reads it only with --allow-all. Undefined if there is
 *  none. */
export function readOwn(
  libc: Libc,
  name: "status" | "environ" | "cmdline" | `task/${number}/status`,
): Uint8Array | undefined {
  let fd: number;
  try {
    fd = libc.open(`/proc/self/${name}`);
  } catch {
    return undefined;
  }
  try {
    return libc.readAll(fd, MAX_OWN);
  } catch {
    return undefined;
  } finally {
    libc.close(fd);
  }
}
