/** How this process was started, byte for byte: what both runtimes tell of arguments and environment is
 *  UTF-8, and other bytes are lost. Linux; by libc, because Deno reads /proc with --allow-all alone. */

import { decodeOsText } from "../codec/os_text.ts";
import { ignoredAtStart } from "./libc/ignored_signals.ts";
import { readOwn } from "./libc/inherited.ts";
import type { Libc } from "./libc/libc.ts";
import type { Started } from "./runtime.ts";

/** `count` arguments at the end are ours. `ours`: signals that the runtime ignores by itself. Undefined
 *  where the system does not tell. */
export function started(libc: Libc, count: number, ours: readonly string[]): Started | undefined {
  const [line, environ] = [readOwn(libc, "cmdline"), readOwn(libc, "environ")];
  if (!line || !environ) return undefined;
  const words = strings(line);
  if (words.length < count) return undefined;
  const env = new Map<string, string>();
  for (const entry of strings(environ)) {
    const at = entry.indexOf("=", 1);
    // Of two the first counts, as for getenv(3).
    if (at > 0 && !env.has(entry.slice(0, at))) env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return {
    argv: count === 0 ? [] : words.slice(-count),
    env: Object.fromEntries(env), // unlike an assignment it takes the name __proto__
    ignored: ignoredAtStart(libc, ours),
  };
}

/** Each ends with a NUL. */
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
