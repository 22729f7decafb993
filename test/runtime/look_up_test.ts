/** The search for a program in $PATH. */

import { assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { lookUp } from "../../src/runtime/look_up.ts";

const DIRECTORY = undefined;

/** Looks for `name` in folders with these entries: file modes by name. */
function found(entries: readonly Record<string, number | undefined>[], name: string): string {
  const root = fs.mkdtempSync(join(tmpdir(), "look-up-"));
  const before = process.env["PATH"];
  try {
    const folders = entries.map((files, i) => {
      const folder = join(root, String(i));
      fs.mkdirSync(folder);
      for (const [file, mode] of Object.entries(files)) {
        if (mode === DIRECTORY) fs.mkdirSync(join(folder, file));
        else fs.writeFileSync(join(folder, file), "", { mode });
      }
      return folder;
    });
    process.env["PATH"] = folders.join(":");
    try {
      return lookUp(name).replace(`${root}/`, "");
    } catch (error) {
      return `${(error as { code?: string }).code}`;
    }
  } finally {
    if (before === undefined) delete process.env["PATH"];
    else process.env["PATH"] = before;
    fs.rmSync(root, { recursive: true });
  }
}

test("the first executable file of that name in $PATH is taken", () => {
  assertStrictEquals(found([{}, { a: 0o755 }, { a: 0o755 }], "a"), "1/a");
  assertStrictEquals(found([{ a: DIRECTORY }, { a: 0o644 }, { a: 0o755 }], "a"), "2/a");
});

test("a path is not looked up in $PATH", () => {
  assertStrictEquals(found([{ a: 0o755 }], "./a"), "./a");
});

test("the error says whether the file exists", () => {
  assertStrictEquals(found([{}, { b: 0o755 }], "a"), "ENOENT");
  assertStrictEquals(found([{ a: DIRECTORY }], "a"), "ENOENT");
  assertStrictEquals(found([{ a: 0o644 }], "a"), "EACCES");
  assertStrictEquals(found([{ a: 0o755 }], ""), "ENOENT");
});
