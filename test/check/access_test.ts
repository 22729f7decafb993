/** Which users may read and execute a file, by its mode. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { obstacle, type ProcessUser } from "../../src/check/access.ts";

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const stranger: ProcessUser = { uid: 65533, gid: 65533, groups: [], ourselves: false };
const owner: ProcessUser = { ...own, groups: [], ourselves: false };
const member: ProcessUser = { ...stranger, groups: [own.gid] };

function withFolder(body: (folder: string) => void): void {
  const folder = fs.mkdtempSync(join(tmpdir(), "access-"));
  try {
    fs.chmodSync(folder, 0o755);
    body(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

test("the owner's, the group's and the others' bits count, each for its own", () => {
  withFolder((folder) => {
    const file = join(folder, "file");
    fs.writeFileSync(file, "");
    const rows: [number, ProcessUser, "read" | "write" | "execute", boolean][] = [
      [0o604, stranger, "read", true],
      [0o640, stranger, "read", false],
      [0o640, member, "read", true],
      [0o604, member, "read", false],
      [0o640, { ...stranger, gid: own.gid }, "read", true],
      [0o701, stranger, "execute", true],
      [0o710, stranger, "execute", false],
      [0o710, member, "execute", true],
      [0o644, owner, "execute", false],
      [0o744, owner, "execute", true],
      [0o602, stranger, "write", true],
      [0o664, stranger, "write", false],
      [0o620, member, "write", true],
    ];
    for (const [mode, who, wanted, may] of rows) {
      fs.chmodSync(file, mode);
      const why = obstacle(file, who, wanted);
      assertStrictEquals(why === undefined, may, `${mode.toString(8)} ${wanted}: ${why?.text}`);
      if (!may) assertStrictEquals(why?.text, `user ${who.uid} cannot ${wanted} it`);
    }
  });
});

test("a folder above that cannot be entered is named, also behind a link", () => {
  withFolder((folder) => {
    const shut = join(folder, "shut");
    fs.mkdirSync(shut);
    fs.writeFileSync(join(shut, "file"), "");
    fs.symlinkSync(join(shut, "file"), join(folder, "link"));
    fs.chmodSync(shut, 0o700);
    for (const path of [join(shut, "file"), join(folder, "link")]) {
      assertEquals(obstacle(path, stranger, "read"), {
        text: `user 65533 cannot enter ${shut}`,
        folder: true,
      });
    }
  });
});

test("a missing file is reported as missing, for every user", () => {
  for (const who of [stranger, { ...owner, ourselves: true }]) {
    assertMatch(
      obstacle("/nonexistent/file", who, "read")?.text ?? "",
      /^no such file or directory/i,
    );
  }
});
