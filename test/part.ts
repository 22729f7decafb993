/** Finds the part of a page or a source that a test compares. A part that is gone fails with its name. An empty text in
 *  its place could satisfy the test, or fail it with a list that hides the cause. */

import { assert } from "@std/assert";

/** Returns the first group of `pattern` in `text`. Throws if `text` does not match. `where` names the text. */
export function part(text: string, pattern: RegExp, where: string): string {
  const found = pattern.exec(text)?.[1];
  assert(found !== undefined, `${where} has no part that matches ${pattern}`);
  return found;
}
