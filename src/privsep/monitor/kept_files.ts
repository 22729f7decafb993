/** The files as workers last found them good. A worker that replaces another starts with these where the
 *  files have changed since: a certificate file that is broken now must not keep it from serving. The monitor
 *  judges none of them: workers report that they can use what they were handed, and it keeps the bytes that
 *  it read itself. A worker that lies can only take its successors back to what a start meets without this. */

import type { Libc } from "../../runtime/libc/libc.ts";
import { type HandedFile, type Opened, readUpTo } from "../handed_files.ts";

/** A file beyond this, large lists mostly, is handed over as it is. A message takes 8 MB. */
const MAX_FILE = 4 << 20;
/** Of all files together, in bytes. */
const MAX_ALL = 32 << 20;

export interface KeptFile {
  readonly file: HandedFile;
  /** Of a regular file. */
  readonly bytes: Uint8Array | undefined;
}

export class KeptFiles {
  #latest = new Map<string, KeptFile>();
  #good: ReadonlyMap<string, KeptFile> = new Map();
  #size = 0;
  /** Something was noted that nobody has confirmed: a worker may confirm as often as it likes. */
  #open = false;

  constructor(readonly libc: Pick<Libc, "readAt">) {}

  /** It is handed over to all workers. */
  note({ file, fd }: Opened): void {
    if (file.is === "rules") return; // bad rules deny; they keep nobody from starting
    this.#open = true;
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

  /** A worker says that it can use all that was noted. What cannot be opened replaces nothing: a worker goes
   *  on without it, and a start may not. */
  confirm(): void {
    if (!this.#open) return;
    this.#open = false;
    const good = new Map<string, KeptFile>();
    for (const [path, kept] of this.#latest) {
      const before = this.#good.get(path);
      good.set(path, kept.file.is === "error" && before ? before : kept);
    }
    this.#good = good;
  }

  /** Those that differ from what is there now. */
  differing(now: ReadonlyMap<string, string>): KeptFile[] {
    return [...this.#good.values()].filter(({ file: { path, stamp } }) => now.get(path) !== stamp);
  }

  /** A worker could not start with them. */
  doubt(): void {
    this.#open = true;
    this.#good = new Map();
  }

  /** Undefined: too large, or it cannot be read now. */
  #read(fd: number): Uint8Array | undefined {
    const room = Math.min(MAX_FILE, MAX_ALL - this.#size);
    if (room < 0) return undefined;
    try {
      const bytes = readUpTo(this.libc, fd, room + 1);
      return bytes.length <= room ? bytes : undefined;
    } catch {
      return undefined; // the worker finds out for itself
    }
  }
}
