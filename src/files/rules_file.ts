/** The source of a rules file: a path, or a descriptor that a process with more privileges
 *  opened and handed over. Reads bytes at offsets and notices changes; rules are decoded
 *  elsewhere. */

import { closeSync, fstatSync, readSync, statSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { fsPath, openRegular } from "./regular_file.ts";

/** An open rules file. It stays the same file after another one is renamed over its path. */
export interface RulesFile {
  /** Differs from the stamp of any other file or later state (see `RulesSource.stamp`). */
  readonly stamp: string;
  /** In bytes, when the file was opened. */
  readonly size: number;
  /** Reads `length` bytes at `offset`, or fewer at the end of the file. The result is valid
   *  until the next call. Throws the system's error. */
  readAt(offset: number, length: number): Uint8Array;
  close(): void;
}

/** A place for a rules file, which may change or be missing. */
export interface RulesSource {
  /** For messages. */
  readonly name: string;
  /** Identity and state of the current file; undefined if there is none. Cheap. Throws. */
  stamp(): string | undefined;
  /** Opens the current file; undefined if there is none. Throws. The caller closes it. */
  open(): RulesFile | undefined;
}

/** A file by its path. */
export class PathRules implements RulesSource {
  constructor(readonly name: string) {}

  stamp(): string | undefined {
    return unlessMissing(() => stampOf(statSync(fsPath(this.name), { bigint: true })));
  }

  open(): RulesFile | undefined {
    const fd = unlessMissing(() => openRegular(this.name));
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd, { bigint: true });
      return {
        stamp: stampOf(stat),
        size: Number(stat.size),
        readAt: reader(fd),
        close: () => closeSync(fd),
      };
    } catch (thrown) {
      closeSync(fd);
      throw thrown;
    }
  }
}

/** Files that are handed over open; each replaces the one before. A jailed worker, which cannot
 *  open the path, gets its rules in this way. */
export class HandedRules implements RulesSource {
  #file: RulesFile | Error | undefined;
  #opened: RulesFile | undefined;
  #retired: RulesFile[] = [];
  #serial = 0;

  constructor(readonly name: string) {}

  /** Takes ownership of `file`; undefined if there is no file at the path any more, an Error if
   *  it cannot be read. The reader may still use the last file that it opened, so that file is
   *  closed when the next one is opened. A file that was never opened is closed at once. */
  hand(file: RulesFile | Error | undefined): void {
    const before = this.#file;
    if (before && !(before instanceof Error)) {
      if (before === this.#opened) this.#retired.push(before);
      else before.close();
    }
    this.#file = file;
    this.#serial++;
  }

  stamp(): string | undefined {
    if (this.#file instanceof Error) throw this.#file;
    return this.#file && String(this.#serial);
  }

  open(): RulesFile | undefined {
    for (const old of this.#retired) old.close();
    this.#retired = [];
    const file = this.#file;
    this.#opened = undefined;
    if (file instanceof Error) throw file;
    this.#opened = file;
    return file && {
      stamp: String(this.#serial),
      size: file.size,
      readAt: (offset, length) => file.readAt(offset, length),
      close: () => {}, // stays open for the next reader
    };
  }
}

function stampOf(stat: BigIntStats): string {
  return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(":");
}

/** Reads by position; small reads share one buffer. */
function reader(fd: number): RulesFile["readAt"] {
  const shared = new Uint8Array(4096);
  return (offset, length) => {
    const bytes = length <= shared.length ? shared : new Uint8Array(length);
    let got = 0;
    while (got < length) {
      const n = readSync(fd, bytes, got, length - got, offset + got);
      if (n === 0) break;
      got += n;
    }
    return bytes.subarray(0, got);
  };
}

function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}
