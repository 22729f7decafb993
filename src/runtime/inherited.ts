/** Descriptors that this process was started with. */

import { readdirSync } from "node:fs";
import type { Libc } from "./libc.ts";

/** Descriptors that were inherited would be handed on to every program: it must not get at a listening
 *  socket or a log. They stay open here. What the runtime opens it marks itself. */
export function keepDescriptors(libc: Libc): void {
  let names: string[];
  try {
    names = readdirSync("/dev/fd"); // /proc/self/fd on Linux; needs leave to read
  } catch {
    names = Array.from({ length: 1024 }, (_, fd) => String(fd));
  }
  for (const fd of names.map(Number)) {
    if (!(fd > 2)) continue;
    try {
      libc.setCloseOnExec(fd, true);
    } catch {
      // not open: that of the listing itself, for one
    }
  }
}
