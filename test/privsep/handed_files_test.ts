/** Files that one side opens and the other reads: at the start, and after each kind of change. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { RuleBook } from "../../src/admit/rulebook.ts";
import { namedFiles, signature } from "../../src/files/files.ts";
import { HandedFiles, type Opened, type Wanted } from "../../src/privsep/handed_files.ts";
import { FileWatcher } from "../../src/privsep/monitor/file_watcher.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import { thisRuntime } from "../runtime/kits.ts";
import { openFiles } from "./puppet.ts";

const { libc } = await thisRuntime() as { libc: Libc };

interface Bench {
  readonly folder: string;
  /** Looks for changes, passes the changed files on, and returns their paths. */
  look(): string[];
  readonly files: HandedFiles;
  readonly watch: FileWatcher;
}

function bench(wanted: (folder: string) => Wanted[], prepare: (folder: string) => void): Bench {
  const folder = fs.mkdtempSync(join(tmpdir(), "handed-"));
  prepare(folder);
  const watch = new FileWatcher(libc, wanted(folder));
  const files = new HandedFiles(libc);
  const hand = (opened: Iterable<Opened>): string[] =>
    [...opened].map(({ file, fd }) => {
      files.take(JSON.parse(JSON.stringify(file)), fd);
      return file.path.slice(folder.length + 1);
    });
  hand(watch.all());
  return { folder, watch, files, look: () => hand(watch.changed()) };
}

const text = (files: HandedFiles, path: string): string =>
  new TextDecoder().decode(files.read(path, 1000));
const oneFile = (folder: string): Wanted[] => [{ path: join(folder, "f"), kind: "file" }];

/** Writes a file until its modification time differs: the file system's clock is coarse, and a change
 *  within one of its ticks cannot be noticed. */
function write(path: string, content: string): void {
  const before = fs.existsSync(path) ? fs.statSync(path).mtimeMs : -1;
  do fs.writeFileSync(path, content); while (fs.statSync(path).mtimeMs === before);
}

/** Returns when the next change of a folder will have a later modification time than `changed`. */
function tick(changed: string): void {
  const probe = `${changed}.probe`;
  do fs.writeFileSync(probe, ""); while (
    fs.statSync(probe).mtimeMs === fs.statSync(changed).mtimeMs
  );
  fs.unlinkSync(probe);
}

test("a file is read through its descriptor, and each change of it is handed over once", () => {
  const { folder, files, look } = bench(oneFile, (folder) => write(join(folder, "f"), "one"));
  const path = join(folder, "f");
  assertStrictEquals(text(files, path), "one");
  const first = files.stamp(path);
  assertEquals(look(), []);

  write(path, "two"); // in place
  assertStrictEquals(text(files, path), "one", "a change is seen only when it is handed over");
  assertEquals(look(), ["f"]);
  assertStrictEquals(text(files, path), "two");
  assertNotStrictEquals(files.stamp(path), first);
  assertEquals(look(), []);

  write(`${path}.new`, "three"); // by a rename
  fs.renameSync(`${path}.new`, path);
  assertEquals(look(), ["f"]);
  assertStrictEquals(text(files, path), "three");

  fs.unlinkSync(path);
  assertEquals(look(), ["f"]);
  assertStrictEquals(files.stamp(path), undefined);
  assertObjectMatch(assertThrows(() => files.read(path, 10), Error), { code: "ENOENT" });
  assertEquals(look(), []);

  write(path, "four");
  assertEquals(look(), ["f"]);
  assertStrictEquals(text(files, path), "four");
  assertThrows(() => files.read(path, 3), Error, /larger than 3 bytes/);
  fs.rmSync(folder, { recursive: true });
});

test("a switch of a symbolic link, anywhere on the way, is a change", () => {
  const { folder, files, look } = bench(
    (folder) => [{ path: join(folder, "live", "f"), kind: "file" }],
    (folder) => {
      for (const name of ["a", "b"]) {
        fs.mkdirSync(join(folder, name));
        write(join(folder, name, "f"), `of ${name}`);
      }
      fs.symlinkSync("a", join(folder, "live"));
    },
  );
  const path = join(folder, "live", "f");
  assertStrictEquals(text(files, path), "of a");
  fs.symlinkSync("b", join(folder, "next"));
  fs.renameSync(join(folder, "next"), join(folder, "live"));
  assertEquals(look(), ["live/f"]);
  assertStrictEquals(text(files, path), "of b");
  fs.rmSync(folder, { recursive: true });
});

test("a file that cannot be opened is an error with its code, and not absent", () => {
  const { folder, files, look } = bench(
    oneFile,
    (folder) => fs.symlinkSync("f", join(folder, "f")),
  );
  const path = join(folder, "f");
  assertObjectMatch(assertThrows(() => files.stamp(path), Error), { code: "ELOOP" });
  assertObjectMatch(assertThrows(() => files.read(path, 10), Error), { code: "ELOOP" });
  fs.unlinkSync(path);
  write(path, "good");
  assertEquals(look(), ["f"]);
  assertStrictEquals(text(files, path), "good");
  fs.rmSync(folder, { recursive: true });
});

test("a folder in the place of a file is an error, with every descriptor given back", () => {
  const before = openFiles().length;
  const { folder, files } = bench(oneFile, (folder) => fs.mkdirSync(join(folder, "f")));
  assertThrows(() => files.read(join(folder, "f"), 10), Error, /a directory, not a regular file/);
  assertStrictEquals(openFiles().length, before);
  fs.rmSync(folder, { recursive: true });
});

test("a file larger than 16 MB is an error", () => {
  const { folder, files, look } = bench(oneFile, (folder) => {
    fs.writeFileSync(join(folder, "f"), "");
    fs.truncateSync(join(folder, "f"), (16 << 20) + 1);
  });
  const path = join(folder, "f");
  assertThrows(() => files.read(path, 1 << 30), Error, /larger than 16777216 bytes/);
  fs.truncateSync(path, 16 << 20);
  look();
  assertStrictEquals(files.read(path, 1 << 30).length, 16 << 20);
  fs.rmSync(folder, { recursive: true });
});

test("a file that is not regular is an error and is not opened", () => {
  const { folder, files, look } = bench(oneFile, (folder) => write(join(folder, "f"), "good"));
  const path = join(folder, "f");
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const replace: [kind: string, make: () => void][] = [
    ["a pipe", () => fs.linkSync(pipe, path)],
    ["a directory", () => fs.mkdirSync(path)],
    ["a device", () => fs.symlinkSync("/dev/zero", path)],
    ["a pipe", () => fs.symlinkSync(pipe, path)],
  ];
  const before = openFiles().length;
  const signatures = new Set<string>();
  for (const [kind, make] of replace) {
    fs.rmSync(path, { recursive: true });
    make();
    assertEquals(look(), ["f"]);
    assertStrictEquals(
      assertThrows(() => files.read(path, 10), Error).message,
      `${kind}, not a regular file`,
    );
    signatures.add(signature(files, [path]));
  }
  assertStrictEquals(signatures.size, 3, "the workers see that the failure is another one");
  // There may be fewer: Bun may close the descriptors of mkfifo late.
  assert(openFiles().length <= before);
  fs.rmSync(path);
  write(path, "good");
  look();
  assertStrictEquals(text(files, path), "good");
  fs.rmSync(folder, { recursive: true });
});

test("a pipe in the place of a rules file is an error, and not absent", () => {
  const { bench, book } = rulesBench((path) => execFileSync("mkfifo", [path]));
  const verdict = book(true).evaluate(PEER);
  assertStrictEquals(verdict.allow, false);
  assertMatch(verdict.error ?? "", /a pipe, not a regular file/);
  fs.rmSync(bench.folder, { recursive: true });
});

test("several workers that are handed one file each read all of it", () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "handed-"));
  const path = join(folder, "f");
  write(path, "x".repeat(100_000));
  const watch = new FileWatcher(libc, [{ path, kind: "file" }]);
  for (const { file, fd } of watch.all()) {
    const copies = [1, 2, 3].map(() => libc.dup(fd as number));
    libc.close(fd as number);
    for (const copy of copies) {
      const files = new HandedFiles(libc);
      files.take(file, copy);
      assertStrictEquals(files.read(path, 200_000).length, 100_000);
    }
  }
  fs.rmSync(folder, { recursive: true });
});

test("a folder of certificates is handed over with what is in it, and follows changes", () => {
  const { folder, files, look } = bench(
    (folder) => [{ path: join(folder, "ca"), kind: "folder" }],
    (folder) => {
      fs.mkdirSync(join(folder, "ca"));
      write(join(folder, "ca", "a.pem"), "A");
      write(join(folder, "ca", "README"), "no certificate");
    },
  );
  const ca = join(folder, "ca");
  assertEquals(files.list(ca), ["a.pem"]);
  assertStrictEquals(text(files, join(ca, "a.pem")), "A");
  tick(ca);
  write(join(ca, "b.crt"), "B");
  assertEquals(look(), ["ca", "ca/b.crt"]);
  assertEquals(files.list(ca), ["a.pem", "b.crt"]);
  write(join(ca, "a.pem"), "AA");
  assertEquals(look(), ["ca/a.pem"]);
  assertStrictEquals(text(files, join(ca, "a.pem")), "AA");
  tick(ca);
  fs.unlinkSync(join(ca, "a.pem"));
  assertEquals(look(), ["ca"]);
  assertEquals(files.list(ca), ["b.crt"]);
  fs.rmSync(ca, { recursive: true });
  assertEquals(look(), ["ca"]);
  assertObjectMatch(assertThrows(() => files.list(ca), Error), { code: "ENOENT" });
  fs.rmSync(folder, { recursive: true });
});

test("a list of files is handed over, or the file of that name, as soon as there is one", () => {
  const { folder, files, look } = bench(
    (folder) => [{ path: `${join(folder, "a")}:b`, kind: "files" }],
    (folder) => write(join(folder, "a"), "A"),
  );
  const whole = `${join(folder, "a")}:b`;
  assertEquals(namedFiles(whole, files), [join(folder, "a"), "b"]);
  assertStrictEquals(text(files, join(folder, "a")), "A");
  assertObjectMatch(assertThrows(() => files.read("b", 10), Error), { code: "ENOENT" });
  write(whole, "W");
  assertEquals(look(), ["a:b"]);
  assertEquals(namedFiles(whole, files), [whole]);
  assertStrictEquals(text(files, whole), "W");
  fs.rmSync(folder, { recursive: true });
});

test("a path that was not handed over is the worker's own affair", () => {
  const { folder, files } = bench(oneFile, (folder) => write(join(folder, "f"), "one"));
  const other = join(folder, "other");
  assertStrictEquals(files.stamp(other), undefined);
  write(other, "own");
  assertStrictEquals(text(files, other), "own");
  assertEquals(files.list(folder), ["f", "other"]);
  fs.rmSync(folder, { recursive: true });
});

/** A cdb with one rule for all clients (the empty key). `D` denies. */
function cdb(deny: boolean): Uint8Array {
  const data = deny ? [0x44, 0] : [0x2b, 0x56, 0x3d, 0x31, 0]; // "+V=1\0"
  const record = [0, 0, 0, 0, data.length, 0, 0, 0, ...data];
  const hash = 5381;
  const end = 2048 + record.length;
  const bytes = new Uint8Array(end + 16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 256; i++) {
    view.setUint32(8 * i, end, true);
    view.setUint32(8 * i + 4, i === (hash & 255) ? 2 : 0, true);
    if (i > (hash & 255)) view.setUint32(8 * i, end + 16, true);
  }
  bytes.set(record, 2048);
  const slot = (hash >>> 8) % 2;
  view.setUint32(end + 8 * slot, hash, true);
  view.setUint32(end + 8 * slot + 4, 2048, true);
  return bytes;
}

function rulesBench(prepare: (path: string) => void): {
  bench: Bench;
  path: string;
  book: (allowMissing: boolean) => RuleBook;
} {
  const made = bench(
    (folder) => [{ path: join(folder, "rules"), kind: "rules" }],
    (folder) => prepare(join(folder, "rules")),
  );
  const path = join(made.folder, "rules");
  const now = (): number => performance.now();
  const book = (allowMissing: boolean): RuleBook =>
    new RuleBook(made.files.rules(path), { allowMissing, now });
  return { bench: made, path, book };
}

const PEER = { ip: "192.0.2.1" };

test("rules are read through their descriptor, and follow each change", () => {
  const before = openFiles().length;
  const { bench, path, book } = rulesBench((path) => fs.writeFileSync(path, cdb(true)));
  const rules = book(false);
  assertStrictEquals(rules.evaluate(PEER).allow, false);
  assertStrictEquals(rules.evaluate(PEER).error, undefined);
  fs.writeFileSync(`${path}.tmp`, cdb(false));
  fs.renameSync(`${path}.tmp`, path);
  assertEquals(bench.look(), ["rules"]);
  rules.expire();
  const verdict = rules.evaluate(PEER);
  assertEquals([verdict.allow, [...verdict.env]], [true, [["V", "1"]]]);
  fs.unlinkSync(path);
  bench.look();
  rules.expire();
  assertMatch(rules.evaluate(PEER).error ?? "", /no such file/);
  rules.close();
  assertStrictEquals(openFiles().length, before);
  fs.rmSync(bench.folder, { recursive: true });
});

test("missing rules allow with -X, but unreadable rules deny", () => {
  for (const late of [false, true]) {
    const absent = rulesBench(() => {});
    assertStrictEquals(absent.book(true).evaluate(PEER).allow, true);
    assertStrictEquals(absent.book(false).evaluate(PEER).allow, false);
    // The file is bad from the start, or (`late`) replaces good rules.
    const { bench, path, book } = rulesBench((path) =>
      late ? fs.writeFileSync(path, cdb(false)) : fs.symlinkSync("rules", path)
    );
    const rules = book(true);
    assertStrictEquals(rules.evaluate(PEER).allow, late);
    if (late) {
      fs.unlinkSync(path);
      fs.symlinkSync("rules", path);
      bench.look();
      rules.expire();
    }
    const verdict = rules.evaluate(PEER);
    assertStrictEquals(verdict.allow, false);
    assertMatch(verdict.error ?? "", /unable to read .*symbolic|loop/i);
    for (const { folder } of [absent.bench, bench]) fs.rmSync(folder, { recursive: true });
  }
});

test("rules that change repeatedly hold one descriptor", () => {
  const { bench, path, book } = rulesBench((path) => fs.writeFileSync(path, cdb(false)));
  const rules = book(false);
  assert(rules.evaluate(PEER).allow);
  const before = openFiles().length;
  for (let n = 0; n < 50; n++) {
    fs.writeFileSync(`${path}.tmp`, cdb(n % 2 === 0));
    fs.renameSync(`${path}.tmp`, path);
    bench.look();
  }
  assert(openFiles().length <= before + 1, `${openFiles().length - before} more`);
  rules.expire();
  assert(rules.evaluate(PEER).allow);
  fs.rmSync(bench.folder, { recursive: true });
});
