/** The file of a unix socket that has been bound, identified by device and inode. The path alone is
 *  not enough: another server may have put its own file there since. */

import fs from "node:fs";

export class SocketFile {
  private constructor(
    readonly path: string,
    readonly dev: number,
    readonly ino: number,
  ) {}

  /** Returns the socket file that is there now; undefined if there is none. */
  static at(path: string): SocketFile | undefined {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    return found?.isSocket() ? new SocketFile(path, found.dev, found.ino) : undefined;
  }

  /** True if another file has its path. A file that cannot be seen (from a jail, or without rights)
   *  counts as missing. */
  get replaced(): boolean {
    const found = this.#stat();
    return found !== undefined && !this.#same(found);
  }

  /** Removes this file, and never another one. Throws if it cannot. */
  remove(): void {
    const found = this.#stat();
    if (found && this.#same(found)) fs.unlinkSync(this.path);
  }

  #stat(): fs.Stats | undefined {
    try {
      return fs.lstatSync(this.path, { throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  }

  #same({ dev, ino }: fs.Stats): boolean {
    return dev === this.dev && ino === this.ino;
  }
}
