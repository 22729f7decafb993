import {
  assertEquals,
  assertNotStrictEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { isShortage, localFiles, namedFiles, signature } from "../../src/files/files.ts";

test("local files: a change and a replacement show, size and kind are checked", () => {
  const dir = mkdtempSync(join(tmpdir(), "files-"));
  try {
    const path = join(dir, "f");
    assertStrictEquals(localFiles.stamp(path), undefined);
    assertObjectMatch(assertThrows(() => localFiles.read(path, 10), Error), { code: "ENOENT" });
    writeFileSync(path, "one");
    const stamp = localFiles.stamp(path);
    assertStrictEquals(new TextDecoder().decode(localFiles.read(path, 3)), "one");
    assertThrows(() => localFiles.read(path, 2), Error, /larger than 2 bytes/);
    writeFileSync(path, "other");
    assertNotStrictEquals(localFiles.stamp(path), stamp);
    assertThrows(() => localFiles.read(dir, 10));
    mkdirSync(join(dir, "b"));
    assertEquals(localFiles.list(dir), ["b", "f"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a file that is not regular is refused at once, and the error names its kind", async () => {
  const dir = mkdtempSync(join(tmpdir(), "files-"));
  const socket = createServer().listen(join(dir, "socket"));
  try {
    await once(socket, "listening");
    execFileSync("mkfifo", [join(dir, "fifo")]);
    symlinkSync("fifo", join(dir, "link"));
    const rows: [path: string, kind: string][] = [
      [dir, "a directory"],
      [join(dir, "fifo"), "a pipe"],
      [join(dir, "link"), "a pipe"],
      [join(dir, "socket"), "a socket"],
      ["/dev/zero", "a device"],
      ["/dev/tty", "a device"],
    ];
    for (const [path, kind] of rows) {
      const message = `${kind}, not a regular file`;
      assertStrictEquals(
        assertThrows(() => localFiles.read(path, 10), Error).message,
        message,
        path,
      );
      assertStrictEquals(
        assertThrows(() => localFiles.rules(path).open(), Error).message,
        message,
        path,
      );
    }
    assertStrictEquals(localFiles.read("/dev/null", 10).length, 0);
    // With a descriptor, only the opened file counts.
    writeFileSync(join(dir, "f"), "content");
    const fd = openSync(join(dir, "f"), "r");
    assertStrictEquals(
      new TextDecoder().decode(localFiles.read(`/proc/self/fd/${fd}`, 10)),
      "content",
    );
    closeSync(fd);
  } finally {
    socket.close();
    rmSync(dir, { recursive: true });
  }
});

test("two failures of one file have two signatures", () => {
  const failing = (error: Error) => ({
    ...localFiles,
    stamp(): string {
      throw error;
    },
  });
  const [one, other] = ["a pipe", "a directory"].map((text) =>
    signature(failing(new Error(text)), ["f"])
  );
  assertNotStrictEquals(one, other);
});

test("a link that is moved changes the signature", () => {
  const dir = mkdtempSync(join(tmpdir(), "files-"));
  try {
    for (const name of ["a", "b"]) writeFileSync(join(dir, name), "x");
    const link = join(dir, "link");
    const before = signature(localFiles, [link]);
    symlinkSync("a", link);
    const first = signature(localFiles, [link]);
    symlinkSync("b", `${link}.new`);
    renameSync(`${link}.new`, link);
    const second = signature(localFiles, [link]);
    assertStrictEquals(new Set([before, first, second]).size, 3);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a value with colons is one file if this file exists, and otherwise a list", () => {
  const there = ["/etc/ssl/::1.pem", "/a:/b", ":", "/plain"];
  const files = {
    stamp(path: string): string | undefined {
      if (path.length > 4095) throw Object.assign(new Error("too long"), { code: "ENAMETOOLONG" });
      return there.includes(path) ? "1" : undefined;
    },
  };
  const long = `/${"x".repeat(4095)}`;
  const rows: [value: string, expected: string[]][] = [
    ["/etc/ssl/::1.pem", ["/etc/ssl/::1.pem"]],
    ["/etc/ssl/::2.pem", ["/etc/ssl/", "2.pem"]],
    ["/a:/b", ["/a:/b"]],
    ["/a:/c", ["/a", "/c"]],
    [":", [":"]],
    ["/plain", ["/plain"]],
    ["/absent", ["/absent"]],
    [":/a:", ["/a"]],
    [`/a:${long}`, ["/a", long]],
    ["", []],
  ];
  for (const [value, expected] of rows) assertEquals(namedFiles(value, files), expected, value);
});

test("a shortage is recognised by its code, or by the code of its cause", () => {
  const error = (code: string, cause?: unknown): Error =>
    Object.assign(new Error(code, { cause }), { code });
  const rows: [unknown, boolean][] = [
    [error("EMFILE"), true],
    [error("ENOMEM"), true],
    [error("ENOENT"), false],
    [new Error("unable to read", { cause: error("ENFILE") }), true],
    [new Error("a", { cause: new Error("b", { cause: error("EAGAIN") }) }), true],
    [new Error("unable to read", { cause: error("EACCES") }), false],
    [new Error("unable to read", { cause: "EMFILE" }), false],
    [new Error("EMFILE"), false],
  ];
  for (const [thrown, wanted] of rows) {
    assertStrictEquals(isShortage(thrown), wanted, String(thrown));
  }
});
