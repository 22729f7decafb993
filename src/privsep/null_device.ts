/** /dev/null: what stands on 0 and 1 of every process that the monitor starts for itself. A container or a
 *  chroot may lack it. */

import { EXIT, FatalError } from "../errors.ts";
import { systemReason } from "../files/files.ts";
import type { Libc } from "../runtime/libc/libc.ts";

const PATH = "/dev/null";

/** A descriptor of it, for the caller to close. Throws `FatalError`. */
export function openNull(libc: Pick<Libc, "open">): number {
  try {
    return libc.open(PATH);
  } catch (error) {
    throw new FatalError(
      `unable to open ${PATH}: ${systemReason(error)}`,
      EXIT.system,
      "mount /dev, or make it: mknod -m 666 /dev/null c 1 3",
    );
  }
}
