/** Files that the monitor hands over. They are put into use when all of them have arrived, and
 *  reported as good when the worker can use them. */

import type { Assembled } from "../../assemble.ts";
import { reason } from "../../errors.ts";
import type { ToMonitor } from "../channel.ts";
import type { HandedFiles, SentFile } from "../handed_files.ts";
import type { MessageOf } from "../messages.ts";

export class FileUpdates {
  /** The server that uses the files; undefined until it is assembled. */
  server: Assembled | undefined;
  /** True if files have arrived that are not in use yet. */
  #changed = false;
  /** True if files were lost and have not come again. */
  #lost = false;
  /** Number of messages with files. */
  #handed = 0;
  /** True if all files must be read again, changed or not. */
  #reloading = false;

  /** `take` returns the descriptors that came with a message; undefined: they were lost. */
  constructor(
    readonly files: HandedFiles,
    readonly channel: Pick<ToMonitor, "send">,
    readonly take: (count: number) => number[] | undefined,
  ) {}

  /** FILES. */
  handed(files: readonly SentFile[]): void {
    this.#handed++;
    const fds = this.take(files.filter(({ open }) => open).length);
    if (!fds) return; // the present files stay in use
    this.#lost = false;
    for (const file of files) this.files.take(file, file.open ? fds.shift() : undefined);
    // When all of them have arrived.
    if (!this.#changed) setImmediate(this.#refresh);
    this.#changed = true;
  }

  /** KEPT. */
  kept({ whole, bytes, file }: MessageOf<"KEPT">): void {
    this.#handed++;
    this.files.keep(file, whole ? bytes : undefined);
  }

  /** RELOAD: the next files that arrive are all read again. */
  reload(): void {
    this.#reloading = true;
  }

  /** The descriptors of some files were lost. Asks for the files again. */
  lost(error: Error): void {
    this.channel.send({ kind: "LOST" });
    if (this.#lost) return;
    this.#lost = true;
    this.server?.services.log.error(`unable to take files, trying again: ${reason(error)}`);
  }

  /** Puts files that have arrived into use now: no connection may be served with older ones. */
  refreshNow(): void {
    if (this.#changed) this.#refresh();
  }

  /** Reports the files as good, so that the monitor keeps them for a successor of this worker. */
  reportGood(): void {
    if (this.#lost || this.#changed || !this.server?.upToDate()) return;
    this.channel.send({ kind: "GOOD", count: this.#handed >>> 0 });
  }

  readonly #refresh = (): void => {
    this.#changed = false;
    const all = this.#reloading;
    this.#reloading = false;
    if (all) this.server?.reload();
    else this.server?.refresh();
    this.reportGood();
  };
}
