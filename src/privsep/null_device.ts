/** /dev/null, on descriptors 0 and 1 of every worker and of the log copier. A container or a chroot
 *  may lack it. */

import { EXIT, FatalError } from "../errors.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { Libc } from "../runtime/libc/libc.ts";

const PATH = "/dev/null";

/** Returns a descriptor of /dev/null, which the caller closes. Throws `FatalError`. */
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
