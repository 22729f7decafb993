/** The password of an encrypted key, from descriptor 3 (-3). */

import type { Options } from "../config/options.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { requireLibc } from "../runtime/needs_ffi.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Maximum size of the password in bytes: descriptor 3 could deliver data without end. */
const MAX_PASSWORD = 4096;

/** Reads the NUL-terminated password if -3 is set. Closes the descriptor, so that no program gets
 *  it. */
export function readPassword(
  options: Pick<Options, "keyPassword">,
  runtime: Runtime,
): string | undefined {
  if (!options.keyPassword) return undefined;
  const libc = requireLibc(runtime, "read the key's password (-3)");
  try {
    const text = new TextDecoder().decode(libc.readAll(3, MAX_PASSWORD));
    libc.close(3);
    const end = text.indexOf("\0");
    return end < 0 ? text : text.slice(0, end);
  } catch (error) {
    throw new FatalError(
      `unable to read the key's password from descriptor 3: ${reason(error)}`,
      EXIT.system,
      "write the password and a NUL to descriptor 3, as in: -3 ... 3<FILE",
    );
  }
}
