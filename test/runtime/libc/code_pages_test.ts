/** Pages of the executable: which mappings may be taken out of a process, and the effect of it. */

import { assert, assertEquals } from "@std/assert";
import fs from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { unchangedMappings } from "../../../src/runtime/libc/code_pages.ts";
import { libcHere } from "./here.ts";

const FILE = "fe:00 338944                             /usr/bin/sslserver";

test("only large mappings that no relocation can have changed are released", () => {
  const large = "00200000-01a39000";
  for (
    const [line, released] of [
      [`${large} r-xp 01838000 ${FILE}`, true],
      [`${large} r--p 00000000 ${FILE}`, true],
      [`${large} r-xp 01838000 fe:00 338944 /a file (deleted)`, true],
      [`${large} r--p 06670000 ${FILE}`, false], // it can be relocated
      [`${large} rw-p 00000000 ${FILE}`, false],
      [`${large} rwxp 00000000 ${FILE}`, false],
      [`${large} r-xs 00000000 ${FILE}`, false],
      [`${large} r-xp 00000000 00:00 0`, false], // no file
      [`${large} r--p 00000000 00:00 0 `, false],
      [`00200000-00300000 r-xp 00000000 ${FILE}`, false],
    ] as const
  ) {
    const want = released ? [{ from: 0x200000, length: 0x1839000 }] : [];
    assertEquals(unchangedMappings(`${line}\n`), want, line);
  }
  assertEquals(unchangedMappings(""), []);
});

/** Pages of files in this process's memory. */
function filePages(): number {
  return Number(fs.readFileSync("/proc/self/statm", "latin1").split(" ")[2]);
}

test("a process continues without the pages of its code", {
  skip: process.platform !== "linux",
}, async () => {
  const release = (await libcHere()).codePages();
  filePages();
  const before = filePages();
  release();
  const after = filePages();
  assert(after < before - 1000, `${before} pages before, ${after} after`);
});
