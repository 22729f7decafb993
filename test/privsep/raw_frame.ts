/** Builds a frame that the encoder does not make. */

import { Frame } from "../../src/privsep/frame.ts";
import { MESSAGES } from "../../src/privsep/messages.ts";

export class RawFrame {
  readonly #frame: Frame;

  /** `kind`: a name, or a number that may belong to no kind. */
  constructor(kind: keyof typeof MESSAGES | number) {
    this.#frame = new Frame(typeof kind === "number" ? kind : MESSAGES[kind].number);
  }

  u8(n: number): this {
    this.#frame.u8(n);
    return this;
  }

  u32(n: number): this {
    this.#frame.u32(n);
    return this;
  }

  /** Appends an id of less than 32 bits. */
  id(n: number): this {
    return this.u32(0).u32(n);
  }

  bytes(bytes: Uint8Array): this {
    this.#frame.bytes(bytes);
    return this;
  }

  text(text: string): this {
    this.#frame.text(text);
    return this;
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#frame.done();
  }

  /** The fields without length and kind. */
  fields(): Uint8Array {
    return this.done().subarray(5);
  }
}
