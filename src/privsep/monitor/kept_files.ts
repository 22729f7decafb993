/** The files in the state in which workers last found them good. If a file has changed since, a
 *  worker that replaces another starts with the good version: a certificate file that is broken now
 *  must not keep it from serving. The monitor checks no file itself. Workers report that they can
 *  use what they were handed, and the monitor keeps the bytes that it has read itself. A lying
 *  worker can only make its successors start with the present files, as they would without this. */

import type { Libc } from "../../runtime/libc/libc.ts";
import { type HandedFile, type Opened, readUpTo } from "../handed_files.ts";

/** Largest file that is kept, in bytes; KEPT has room for 8 MB. Larger files, mostly lists, are
 *  handed over as they are. */
const MAX_FILE = 4 << 20;
/** Maximum bytes of all kept files together. */
const MAX_ALL = 32 << 20;

export interface KeptFile {
  readonly file: HandedFile;
  /** The content of a regular file. */
  readonly bytes: Uint8Array | undefined;
}

export class KeptFiles {
  #latest = new Map<string, KeptFile>();
  #good: ReadonlyMap<string, KeptFile> = new Map();
  #size = 0;
  /** True if something was noted and is not confirmed: a worker may confirm as often as it
   *  likes. */
  #unconfirmed = false;

  constructor(readonly libc: Pick<Libc, "readAt">) {}

  /** A file is handed over to all workers. */
  note({ file, fd }: Opened): void {
    if (file.is === "rules") return; // bad rules deny; they do not keep a worker from starting
    this.#unconfirmed = true;
    const old = this.#latest.get(file.path);
    this.#size -= old?.bytes?.length ?? 0;
    this.#latest.delete(file.path);
    const bytes = fd === undefined ? undefined : this.#read(fd);
    if (file.is === "file" && !bytes) return;
    this.#size += bytes?.length ?? 0;
    this.#latest.set(file.path, { file, bytes });
    if (file.is === "folder") this.#prune(file);
  }

  /** Forgets the files that have gone from a folder. */
  #prune({ path: folder, names = [] }: HandedFile): void {
    const there = new Set(names.map((name) => `${folder}/${name}`));
    for (const [path, { bytes }] of this.#latest) {
      if (!path.startsWith(`${folder}/`) || there.has(path)) continue;
      this.#size -= bytes?.length ?? 0;
      this.#latest.delete(path);
    }
  }

  /** A worker reports that it can use everything noted. A file that cannot be opened replaces no
   *  good version: a running worker goes on without it, but a start may fail. */
  confirm(): void {
    if (!this.#unconfirmed) return;
    this.#unconfirmed = false;
    const good = new Map<string, KeptFile>();
    for (const [path, kept] of this.#latest) {
      const before = this.#good.get(path);
      good.set(path, kept.file.is === "error" && before ? before : kept);
    }
    this.#good = good;
  }

  /** Returns the kept files whose stamps differ from the present ones. */
  differing(now: ReadonlyMap<string, string>): KeptFile[] {
    return [...this.#good.values()].filter(({ file: { path, stamp } }) => now.get(path) !== stamp);
  }

  /** A worker could not start with the kept files. */
  discard(): void {
    this.#unconfirmed = true;
    this.#good = new Map();
  }

  /** Returns undefined if the file is too large or cannot be read now. */
  #read(fd: number): Uint8Array | undefined {
    const room = Math.min(MAX_FILE, MAX_ALL - this.#size);
    if (room < 0) return undefined;
    try {
      const bytes = readUpTo(this.libc, fd, room + 1);
      return bytes.length <= room ? bytes : undefined;
    } catch {
      return undefined; // the worker reports it
    }
  }
}
