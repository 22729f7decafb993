/** Encodes and decodes the messages between monitor and workers, by the rows of messages.ts. Pure: no
 *  I/O; channel.ts sends and receives.
 *
 *  Anything invalid is a `DecodeError`: an unknown kind, a field above its maximum, bytes left over. */

import { DecodeError, type Reader } from "../codec/bytes.ts";
import { EncodeError, type Fields, readFields, writeFields } from "./fields.ts";
import { Frame } from "./frame.ts";
import { type Message, type MessageRow, MESSAGES, type Side } from "./messages.ts";

type Table = typeof MESSAGES;

/** Encodes and decodes the messages of one side. */
export class Codec<S extends Side> {
  readonly #byNumber = new Map<
    number,
    { readonly kind: string; readonly row: MessageRow<Side, Fields> }
  >();

  constructor(readonly from: S) {
    for (const [kind, row] of Object.entries(MESSAGES)) {
      if (row.from === from) this.#byNumber.set(row.number, { kind, row });
    }
  }

  /** Returns the maximum length of a frame of a kind, in bytes without the length field. Throws
   *  `DecodeError` for a kind that this side does not send. */
  readonly maxLength = (number: number): number => this.#find(number).row.max;

  /** Throws `EncodeError` for a message that the other side would refuse. */
  encode(message: Message<S>): Uint8Array<ArrayBuffer> {
    const { number, fields, max } = MESSAGES[message.kind as keyof Table] as MessageRow<S, Fields>;
    const frame = new Frame(number);
    writeFields(frame, fields, message);
    const bytes = frame.done();
    if (bytes.length - 4 > max) {
      throw new EncodeError(`a message of ${bytes.length} bytes, above the maximum ${max}`);
    }
    return bytes;
  }

  /** Throws `DecodeError`, also if bytes are left over. */
  decode(number: number, body: Reader): Message<S> {
    const { kind, row } = this.#find(number);
    const message = readFields(body, row.fields, { kind });
    if (body.left > 0) {
      throw new DecodeError(`privsep: end: ${body.left} bytes left at byte ${body.at}`);
    }
    return message as Message<S>;
  }

  #find(number: number): { readonly kind: string; readonly row: MessageRow<Side, Fields> } {
    const found = this.#byNumber.get(number);
    if (!found) throw new DecodeError(`privsep: kind: no message ${number} at byte 0`);
    return found;
  }
}

export const FROM_WORKER: Codec<"worker"> = new Codec("worker");
export const FROM_MONITOR: Codec<"monitor"> = new Codec("monitor");
