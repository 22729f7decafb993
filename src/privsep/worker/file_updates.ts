/** Files that the monitor hands over: taken into use when all of them have come, and reported as good when
 *  they can be used. */

import type { Assembled } from "../../assemble.ts";
import { reason } from "../../errors.ts";
import type { ToMonitor } from "../channel.ts";
import type { HandedFiles, SentFile } from "../handed_files.ts";
import type { MessageOf } from "../messages.ts";

export class FileUpdates {
  /** What uses the files, once there is something. */
  server: Assembled | undefined;
  /** Files were handed over that nobody has looked at. */
  #changed = false;
  /** Files were lost that have not come again. */
  #lacking = false;
  /** Messages with files. */
  #handed = 0;
  /** All are to be read, changed or not. */
  #reloading = false;

  /** `take`: the descriptors beside a message; undefined: they were lost. */
  constructor(
    readonly files: HandedFiles,
    readonly channel: Pick<ToMonitor, "send">,
    readonly take: (count: number) => number[] | undefined,
  ) {}

  /** FILES. */
  handed(files: readonly SentFile[]): void {
    this.#handed++;
    const fds = this.take(files.filter(({ open }) => open).length);
    if (!fds) return; // what it has stays in use
    this.#lacking = false;
    for (const file of files) this.files.take(file, file.open ? fds.shift() : undefined);
    // When all have come.
    if (!this.#changed) setImmediate(this.#look);
    this.#changed = true;
  }

  /** KEPT. */
  kept({ whole, bytes, file }: MessageOf<"KEPT">): void {
    this.#handed++;
    this.files.keep(file, whole ? bytes : undefined);
  }

  /** RELOAD: when the files have come. */
  reload(): void {
    this.#reloading = true;
  }

  /** The descriptors of some were lost: they are asked for again. */
  lost(error: Error): void {
    this.channel.send({ kind: "LOST" });
    if (this.#lacking) return;
    this.#lacking = true;
    this.server?.services.log.error(`unable to take files, trying again: ${reason(error)}`);
  }

  /** Nobody is served with older files. */
  lookNow(): void {
    if (this.#changed) this.#look();
  }

  /** So that the monitor keeps these files for a worker that replaces this one. */
  reportGood(): void {
    if (this.#lacking || this.#changed || !this.server?.sound()) return;
    this.channel.send({ kind: "GOOD", count: this.#handed >>> 0 });
  }

  readonly #look = (): void => {
    this.#changed = false;
    const all = this.#reloading;
    this.#reloading = false;
    if (all) this.server?.reload();
    else this.server?.look();
    this.reportGood();
  };
}
