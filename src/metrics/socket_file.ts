/** The file of a unix socket that has been bound. By its path alone it cannot be told from that of
 *  another server that has taken the place since. */

import fs from "node:fs";

export class SocketFile {
  private constructor(
    readonly path: string,
    readonly dev: number,
    readonly ino: number,
  ) {}

  /** The one that is there now; undefined: there is none. */
  static at(path: string): SocketFile | undefined {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    return found?.isSocket() ? new SocketFile(path, found.dev, found.ino) : undefined;
  }

  /** Something else has its place. Not seen, from a jail or without rights, is not there. */
  get replaced(): boolean {
    const found = this.#look();
    return found !== undefined && !this.#same(found);
  }

  /** Removes it, and nothing else. Throws when it cannot. */
  remove(): void {
    const found = this.#look();
    if (found && this.#same(found)) fs.unlinkSync(this.path);
  }

  #look(): fs.Stats | undefined {
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
