/** Where a rules file comes from: a path, or a descriptor that someone with more rights opened
 *  and handed over. Knows nothing of rules; reads bytes at offsets and tells when they changed. */

import { closeSync, fstatSync, readSync, statSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { fsPath, openRegular } from "./regular_file.ts";

/** An opened rules file. The bytes stay those of the file opened, also after a rename over it. */
export interface RulesFile {
  /** Differs from the stamp of any other file or later state (see `RulesSource.stamp`). */
  readonly stamp: string;
  /** Bytes, when it was opened. */
  readonly size: number;
  /** Reads up to `length` bytes at `offset`; fewer only at the end of the file. What it returns
   *  holds until the next call. Throws. */
  readAt(offset: number, length: number): Uint8Array;
  close(): void;
}

/** A place where a rules file may be, may change, or may be missing. */
export interface RulesSource {
  /** For messages. */
  readonly name: string;
  /** Identity and state of the file there now; undefined if there is none. Cheap. Throws. */
  stamp(): string | undefined;
  /** Opens the file there now; undefined if there is none. Throws. The caller closes it. */
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

/** Files that are handed over already open, each replacing the one before: how a jailed worker,
 *  which cannot open the path, gets its rules. */
export class HandedRules implements RulesSource {
  #file: RulesFile | Error | undefined;
  #opened: RulesFile | undefined;
  #retired: RulesFile[] = [];
  #serial = 0;

  constructor(readonly name: string) {}

  /** Takes `file` over; undefined when the path holds none any more, an Error when it cannot be read.
   *  The reader may still be using the last one that it opened, which is therefore closed when the next
   *  one is opened; others that nobody came to read are closed at once. */
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
