import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { localFiles, signature } from "../src/files.ts";

test("local files: a change and a replacement show, size and kind are checked", () => {
  const dir = mkdtempSync(join(tmpdir(), "files-"));
  try {
    const path = join(dir, "f");
    assert.equal(localFiles.stamp(path), undefined);
    assert.throws(() => localFiles.read(path, 10), { code: "ENOENT" });
    writeFileSync(path, "one");
    const stamp = localFiles.stamp(path);
    assert.equal(new TextDecoder().decode(localFiles.read(path, 3)), "one");
    assert.throws(() => localFiles.read(path, 2), /larger than 2 bytes/);
    writeFileSync(path, "other");
    assert.notEqual(localFiles.stamp(path), stamp);
    assert.throws(() => localFiles.read(dir, 10));
    assert.throws(() => localFiles.read("/dev/zero", 100), /larger than 100 bytes/);
    assert.throws(() => localFiles.read("/dev/zero", 100, "regular"), /not a regular file/);
    mkdirSync(join(dir, "b"));
    assert.deepEqual(localFiles.list(dir), ["b", "f"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
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
    assert.equal(new Set([before, first, second]).size, 3);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
