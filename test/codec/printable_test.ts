/** Text for one line of a log or a terminal. */

import { assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { printable, withoutControls } from "../../src/codec/printable.ts";

test("a character that is not printable ASCII becomes a question mark", () => {
  assertStrictEquals(printable(" a~%\0\n\r\x1b\x7f\x9bé\u2028😀"), " a~%????????" + "??");
});

test("control characters alone become question marks", () => {
  assertStrictEquals(withoutControls(" a~\0\n\r\x1b\x7f\x9bé😀"), " a~??????é😀");
});
