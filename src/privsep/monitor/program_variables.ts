/** The variables of a program: which ones a worker may set, and their size. */

import { DecodeError } from "../../codec/bytes.ts";
import { isFromWorker, type RuleVariables } from "../../config/variables.ts";

/** Bytes that a variable needs beyond its characters, as measured: two strings and a table
 *  entry. */
const VARIABLE = 160;

/** Returns `base` without the variables that rules remove. Returns the same object if there are
 *  none, because libc caches its conversion. */
export function without(
  base: Readonly<Record<string, string>>,
  variables: RuleVariables,
): Readonly<Record<string, string>> {
  let left: Record<string, string> | undefined;
  for (const [name, value] of variables) {
    if (value !== undefined || !Object.hasOwn(base, name)) continue;
    left ??= Object.fromEntries(Object.entries(base));
    delete left[name];
  }
  return left ?? base;
}

/** Returns about how many bytes the variables need in memory. */
export function memoryOf(env: Readonly<Record<string, string>>): number {
  let size = 0;
  for (const name in env) size += VARIABLE + name.length + (env[name]?.length ?? 0);
  return size;
}

/** Maximum number of names that are kept as valid, so that they are not checked again. */
const MAX_KNOWN = 512;

/** A worker may set variables that describe a connection. It may set none that control a program:
 *  LD_PRELOAD, PATH, or the descriptors of UCSPI-TLS, which the monitor sets. A name has only
 *  letters, digits and underscores, because programs split and print names. Throws
 *  `DecodeError`. */
export function checkVariables(variables: ReadonlyMap<string, string>, known: Set<string>): void {
  for (const name of variables.keys()) {
    if (known.has(name)) continue;
    if (!/^[A-Za-z0-9_]+$/.test(name) || !isFromWorker(name)) {
      throw new DecodeError("privsep: variable: not one that a worker may set at byte 0");
    }
    if (known.size < MAX_KNOWN) known.add(name);
  }
}
