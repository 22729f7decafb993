/** Arguments and environment of this process, byte for byte. Both runtimes decode them as UTF-8, so
 *  that other bytes are lost. Linux only. Uses libc, because Deno reads /proc only with
 *  --allow-all. */

import { decodeOsText } from "../codec/os_text.ts";
import { ignoredAtStart } from "./libc/ignored_signals.ts";
import { readOwn } from "./libc/inherited.ts";
import type { Libc } from "./libc/libc.ts";
import type { Started } from "./runtime.ts";

/** `count`: how many arguments at the end are the command's; those before are the runtime's.
 *  `ours`: signals that the runtime itself ignores. Undefined if the system does not provide the
 *  data. */
export function started(libc: Libc, count: number, ours: readonly string[]): Started | undefined {
  const [line, environ] = [readOwn(libc, "cmdline"), readOwn(libc, "environ")];
  if (!line || !environ) return undefined;
  const words = strings(line);
  if (words.length < count) return undefined;
  const env = new Map<string, string>();
  for (const entry of strings(environ)) {
    const at = entry.indexOf("=", 1);
    // If a name occurs twice, the first value counts, as for getenv(3).
    if (at > 0 && !env.has(entry.slice(0, at))) env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return {
    argv: count === 0 ? [] : words.slice(-count),
    env: Object.fromEntries(env), // an assignment would not set a variable named __proto__
    ignored: ignoredAtStart(libc, ours),
  };
}

/** Splits at NUL; each string ends with one. */
function strings(bytes: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    const stop = end < 0 ? bytes.length : end;
    found.push(decodeOsText(bytes.subarray(at, stop)));
    at = stop + 1;
  }
  return found;
}
