/** Follows both directions of a TLS connection, record by record, and reads what passes in the
 *  clear: handshake messages, alerts and ChangeCipherSpec (RFC 8446 5.1, RFC 5246 6.2.1). Of an
 *  encrypted record, it reads only the type and the length. Pure: no I/O.
 *
 *  It keeps at most one record and one handshake message for each direction. It never throws. Bytes
 *  that are not TLS are reported once, and the rest of that direction is ignored. */

import {
  type Agreed,
  agreedBy,
  alertText,
  type MessageView,
  SERVER_HELLO,
  viewMessage,
} from "./messages.ts";

export type TlsSide = "client" | "server";

/** A record. `from`: the side that sent it. */
export interface RecordEvent {
  readonly from: TlsSide;
  readonly is: "record";
  readonly type: number;
  readonly version: number;
  /** Bytes after the header. */
  readonly length: number;
  /** The content is encrypted; only type and length are known. */
  readonly encrypted: boolean;
  /** The handshake messages that end in this record, in order. */
  readonly messages: readonly MessageView[];
  /** The alert in it, `fatal (2), handshake_failure (40)`. */
  readonly alert?: string;
  /** Why the content cannot be read. */
  readonly malformed?: string;
}

/** A record, or bytes that are not a record. After such bytes, nothing more is reported for that
 *  direction. */
export type TlsEvent = RecordEvent | {
  readonly from: TlsSide;
  readonly is: "not TLS";
  readonly bytes: Uint8Array;
};

const CHANGE_CIPHER_SPEC = 20;
const ALERT = 21;
const HANDSHAKE = 22;
/** Content types that have a name in the registry. */
const [MIN_TYPE, MAX_TYPE] = [20, 26];
const RECORD_HEADER = 5;
/** RFC 5246 6.2.3: 2^14 bytes, and 2,048 for encryption. */
const MAX_RECORD = 16_384 + 2048;
const MESSAGE_HEADER = 4;
/** Longest handshake message that is read. A certificate chain has a few thousand bytes. */
const MAX_MESSAGE = 65_536;
const TLS13 = 0x0304;

/** Collects a known number of bytes from pieces. */
class Collected {
  #filled = 0;

  constructor(public bytes: Uint8Array) {}

  get full(): boolean {
    return this.#filled === this.bytes.length;
  }

  /** Copies the missing bytes from `piece`, and returns the rest of `piece`. */
  take(piece: Uint8Array): Uint8Array {
    const part = piece.subarray(0, this.bytes.length - this.#filled);
    this.bytes.set(part, this.#filled);
    this.#filled += part.length;
    return piece.subarray(part.length);
  }

  /** Expects `size` bytes in all. */
  grow(size: number): void {
    const larger = new Uint8Array(size);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

const newRecord = (): Collected => new Collected(new Uint8Array(RECORD_HEADER));
const newMessage = (): Collected => new Collected(new Uint8Array(MESSAGE_HEADER));

/** One direction. */
class Direction {
  record = newRecord();
  /** Bytes of an encrypted record that are still to come. */
  skip = 0;
  /** A ChangeCipherSpec has passed. */
  changed = false;
  message = newMessage();
  /** Bytes that are still to come of a message that is too long to be read. */
  skipMessage = 0;
  stopped = false;
}

/** One per connection. */
export class TlsConversation {
  readonly #sides = { client: new Direction(), server: new Direction() };
  #agreed: Agreed | undefined;

  /** `report` is called for each record, during `feed`. */
  constructor(readonly report: (event: TlsEvent) => void) {}

  /** Takes the next bytes that `from` sends, in pieces of any size. */
  feed(from: TlsSide, piece: Uint8Array): void {
    const side = this.#sides[from];
    let rest = piece;
    while (rest.length > 0 && !side.stopped) {
      const skipped = Math.min(side.skip, rest.length);
      side.skip -= skipped;
      rest = side.record.take(rest.subarray(skipped));
      if (!side.record.full) continue;
      if (side.record.bytes.length === RECORD_HEADER) this.#header(from, side);
      else this.#body(from, side);
    }
  }

  #header(from: TlsSide, side: Direction): void {
    const { bytes } = side.record;
    const record = recordOf(from, bytes);
    const { type, version, length } = record;
    if (type < MIN_TYPE || type > MAX_TYPE || version >> 8 !== 3 || length > MAX_RECORD) {
      side.stopped = true;
      this.report({ from, is: "not TLS", bytes });
    } else if (this.#isEncrypted(type, side)) {
      side.record = newRecord();
      side.skip = length;
      this.report({ ...record, encrypted: true });
    } else if (length === 0) {
      side.record = newRecord();
      this.report({ ...record, malformed: "empty record" });
    } else side.record.grow(RECORD_HEADER + length);
  }

  #body(from: TlsSide, side: Direction): void {
    const { bytes } = side.record;
    side.record = newRecord();
    const record = recordOf(from, bytes);
    const body = bytes.subarray(RECORD_HEADER);
    if (record.type === HANDSHAKE) {
      this.report({ ...record, messages: this.#messages(side, body) });
    } else if (record.type === ALERT) {
      const [level, description] = body;
      this.report(
        body.length === 2
          ? { ...record, alert: alertText(level as number, description as number) }
          : { ...record, malformed: "an alert has 2 bytes" },
      );
    } else {
      side.changed = true;
      this.report(record);
    }
  }

  /** In TLS 1.2, all records after a ChangeCipherSpec are encrypted. In TLS 1.3, a ChangeCipherSpec
   *  has no meaning (RFC 8446 D.4), and encrypted records have the outer type application_data. */
  #isEncrypted(type: number, side: Direction): boolean {
    if (type !== HANDSHAKE && type !== ALERT && type !== CHANGE_CIPHER_SPEC) return true;
    return side.changed && this.#agreed !== undefined && this.#agreed.version < TLS13;
  }

  /** The messages that end in `body`. Keeps the beginning of a message that does not end in it. */
  #messages(side: Direction, body: Uint8Array): MessageView[] {
    const found: MessageView[] = [];
    const skipped = Math.min(side.skipMessage, body.length);
    side.skipMessage -= skipped;
    let rest = body.subarray(skipped);
    while (rest.length > 0) {
      rest = side.message.take(rest);
      if (!side.message.full) break;
      const { bytes } = side.message;
      const [type, high, middle, low] = bytes as unknown as [number, number, number, number];
      const size = high << 16 | middle << 8 | low;
      if (size > MAX_MESSAGE) {
        side.message = newMessage();
        found.push({ ...viewMessage(type, NOTHING), ...TOO_LONG, length: size });
        side.skipMessage = Math.max(0, size - rest.length);
        rest = rest.subarray(size);
      } else if (size > 0 && bytes.length === MESSAGE_HEADER) {
        side.message.grow(MESSAGE_HEADER + size);
      } else {
        side.message = newMessage();
        const message = bytes.subarray(MESSAGE_HEADER);
        if (type === SERVER_HELLO) this.#agreed = agreedBy(message) ?? this.#agreed;
        found.push(viewMessage(type, message, this.#agreed));
      }
    }
    return found;
  }
}

const NOTHING = new Uint8Array(0);
const TOO_LONG = {
  fields: [],
  extensions: [],
  malformed: `longer than ${MAX_MESSAGE} bytes`,
};

/** The parts of a record's header. */
function recordOf(from: TlsSide, header: Uint8Array): RecordEvent {
  const [type, major, minor, high, low] = header as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  const [version, length] = [major << 8 | minor, high << 8 | low];
  return { from, is: "record", type, version, length, encrypted: false, messages: [] };
}
