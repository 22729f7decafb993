/** Extracts the reason from a system error of Bun, Deno or our own calls of libc. */

import { reason } from "../errors.ts";

/** Reduces `ENOENT: no such file or directory, open '…'`, and libc's `open: no such file or
 *  directory (ENOENT)`, to `no such file or directory`: the caller's message has the path
 *  already. */
export function systemReason(error: unknown): string {
  const text = reason(error);
  return /^E[A-Z0-9]+: ([^,]+)/.exec(text)?.[1] ??
    /^\w+: (.*) \(E[A-Z0-9]+\)$/.exec(text)?.[1] ?? text.replace(/ \(os error \d+\).*$/, "");
}
