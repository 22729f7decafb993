/** Folders whose files are opened beneath them, with libc and without. */

import { assertEquals, assertObjectMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { type HeldFolder, holdFolder } from "../../src/files/held_folder.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { openFiles } from "../privsep/puppet.ts";

const { libc } = await thisRuntime();
const WAYS = [["with libc", libc], ["by paths", undefined]] as const;
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

/** Runs `run` with a new folder, and checks that no descriptor stays open. */
function withFolder(
  calls: typeof libc,
  run: (path: string, hold: (path: string) => HeldFolder) => void,
): void {
  const path = mkdtempSync(join(tmpdir(), "held-"));
  const held: HeldFolder[] = [];
  try {
    run(path, (path) => {
      const folder = holdFolder(path, calls);
      held.push(folder);
      return folder;
    });
    for (const folder of held) folder.close();
    assertEquals(openFiles().filter((file) => file.startsWith(path)), []);
  } finally {
    rmSync(path, { recursive: true });
  }
}

for (const [way, calls] of WAYS) {
  test(`files and folders are found, ${way}`, () => {
    withFolder(calls, (path, hold) => {
      mkdirSync(join(path, "sub"));
      writeFileSync(join(path, "a"), "content");
      writeFileSync(join(path, "sub", "b"), "x".repeat(100_000));
      symlinkSync(path, join(path, "..", "to-" + path.split("/").at(-1)));
      const top = hold(path);
      assertEquals(top.names(), ["a", "sub"]);
      assertStrictEquals(text(top.read("a", 4)), "cont");
      assertStrictEquals(text(top.read("a", 4096)), "content");
      assertStrictEquals(top.read("c", 4096), undefined);
      assertEquals(["a", "c", "sub"].map((name) => top.state(name)), [
        "readable",
        "absent",
        "readable",
      ]);
      assertStrictEquals(top.folder("none"), undefined);
      const sub = top.folder("sub") as HeldFolder;
      assertStrictEquals(sub.path, join(path, "sub"));
      assertStrictEquals(sub.read("b", 100_001)?.length, 100_000);
      sub.close();
      const link = join(path, "..", "to-" + path.split("/").at(-1));
      assertEquals(hold(link).names(), ["a", "sub"]); // the folder itself may be a link
      rmSync(link);
    });
  });

  test(`links below the folder are refused, ${way}`, () => {
    withFolder(calls, (path, hold) => {
      mkdirSync(join(path, "real"));
      writeFileSync(join(path, "file"), "x");
      symlinkSync("real", join(path, "folder"));
      symlinkSync("file", join(path, "link"));
      symlinkSync("/etc/passwd", join(path, "out"));
      const top = hold(path);
      for (const name of ["link", "out"]) {
        assertThrows(() => top.read(name, 10), Error, new RegExp(`/${name}: a link$`));
        assertThrows(() => top.state(name), Error, /: a link$/);
      }
      assertThrows(() => top.folder("folder"), Error, /\/folder: (a link|not a directory)$/);
      assertThrows(() => top.folder("file"), Error, /\/file: not a directory$/);
    });
  });

  test(`a name that leads out is refused before it is opened, ${way}`, () => {
    withFolder(calls, (path, hold) => {
      const top = hold(path);
      for (const name of ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\0b"]) {
        assertThrows(() => top.read(name, 10), Error, /leads out/);
        assertThrows(() => top.state(name), Error, /leads out/);
        assertThrows(() => top.folder(name), Error, /leads out/);
      }
    });
  });

  test(`only a regular file is read, and opening a pipe does not block, ${way}`, () => {
    withFolder(calls, (path, hold) => {
      mkdirSync(join(path, "folder"));
      execFileSync("mkfifo", [join(path, "pipe")]);
      const top = hold(path);
      for (const name of ["folder", "pipe"]) {
        assertThrows(() => top.read(name, 10), Error, new RegExp(`${path}/${name}: `));
      }
      assertObjectMatch(assertThrows(() => holdFolder(join(path, "none"), calls), Error), {
        code: "ENOENT",
        message: `${path}/none: no such file or directory`,
      });
    });
  });

  const skip = process.getuid?.() === 0 && "root may read everything";
  test(`an unreadable file is distinguished from a missing one, ${way}`, { skip }, () => {
    withFolder(calls, (path, hold) => {
      writeFileSync(join(path, "a"), "");
      chmodSync(join(path, "a"), 0);
      assertStrictEquals(hold(path).state("a"), "unreadable");
      assertThrows(() => hold(path).read("a", 1), Error, /permission denied/);
    });
  });
}

test("with libc, files are opened below the held folder, also if its path has changed", () => {
  withFolder(libc, (path, hold) => {
    mkdirSync(join(path, "one"));
    writeFileSync(join(path, "one", "a"), "old");
    const one = hold(join(path, "one"));
    renameSync(join(path, "one"), join(path, "two"));
    mkdirSync(join(path, "one"));
    writeFileSync(join(path, "one", "a"), "new");
    assertStrictEquals(text(one.read("a", 10)), "old");
  });
});
