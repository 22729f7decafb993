/** Writes the log without libc: Deno writes in a separate thread, one write at a time. */

import type { LineSink } from "../runtime.ts";

export class DenoStderr implements LineSink {
  #again: (() => void) | undefined;
  #busy = false;
  #error: unknown;

  get busy(): boolean {
    return this.#busy;
  }

  whenReady(again: () => void): void {
    this.#again = again;
  }

  take(bytes: Uint8Array): number {
    if (this.#busy) return 0;
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
    this.#busy = true;
    void this.#write(bytes.slice());
    return bytes.length;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await Deno.stderr.write(bytes.subarray(at));
    } catch (error) {
      this.#error = error;
    }
    this.#busy = false;
    this.#again?.();
  }
}
