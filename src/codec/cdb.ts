/** D. J. Bernstein's constant database: reading and checking. Pure: bytes come from `readAt`.
 *  256 header slots, then records, then hash tables, all 32-bit little-endian. The format has no
 *  checksum, and for rules a record that is not found means "allow": so damage must be told from
 *  absence. The header must describe tables that fill the file exactly, and each slot a look-up
 *  passes must lead to a record with that hash; `verify` does the same for the whole file. */

import { DecodeError, equalBytes, Reader } from "./bytes.ts";

export const HEADER_BYTES = 2048;

/** Longest key. Rule keys are an ident answer and a host name at most; a giant length in a
 *  damaged record must not become a giant allocation. */
export const MAX_KEY = 4096;

/** Longest value. More than an environment will hold for one connection; same attack. */
export const MAX_VALUE = 16_384;

/** Slots one look-up may pass. A sound table is half empty and needs a handful, a key given many
 *  times some more; a hostile one would make each connection read millions. */
export const MAX_PROBES = 65_536;

/** Slots fetched by one read: a look-up in a sound table rarely needs a second. */
const SLOTS_PER_READ = 8;

/** Bytes of a record fetched by the first read: its two lengths and most keys. */
const RECORD_READ = 72;

/** Delivers exactly `length` bytes from `offset`, or throws. May be a view. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

interface Table {
  readonly index: number;
  readonly at: number;
  readonly slots: number;
}

interface Slot {
  readonly hash: number;
  readonly record: number;
}

interface RecordHead {
  readonly key: Uint8Array;
  readonly valueAt: number;
  readonly valueLength: number;
}

/** The format's hash: h = h × 33 ^ byte, from 5381, 32 bits. */
export function cdbHash(key: Uint8Array): number {
  let h = 5381;
  for (const byte of key) h = (Math.imul(h, 33) ^ byte) >>> 0;
  return h;
}

/** Looks keys up in a file of `size` bytes that is never loaded as a whole: 2 KB of header stay
 *  in memory, and a look-up reads a few dozen bytes. */
export class CdbReader {
  readonly #tables: Table[] = [];
  /** Where the records end and the first hash table begins. */
  readonly #recordsEnd: number;

  /** Reads and checks the header. Throws DecodeError. */
  constructor(readonly readAt: ReadAt, readonly size: number) {
    const header = new Reader(this.#read(0, HEADER_BYTES, "header"), "cdb");
    for (let index = 0; index < 256; index++) {
      const at = header.u32le("table position");
      this.#tables.push({ index, at, slots: header.u32le("table length") });
    }
    // Empty tables have no place in the file; writers put differing positions there.
    const used = this.#tables.filter((table) => table.slots > 0).sort((a, b) => a.at - b.at);
    let end = used[0]?.at ?? size;
    this.#recordsEnd = end;
    for (const { index, at, slots } of used) {
      if (at !== end) {
        throw new DecodeError(`cdb: table position: gap or overlap at byte ${8 * index}`);
      }
      end += 8 * slots;
    }
    if (end !== size) {
      throw new DecodeError(`cdb: file: tables end at ${end} instead of ${size} at byte ${size}`);
    }
    if (this.#recordsEnd < HEADER_BYTES) {
      throw new DecodeError(`cdb: table position: inside the header at byte ${this.#recordsEnd}`);
    }
    if (used.length === 0 && size !== HEADER_BYTES) {
      throw new DecodeError(`cdb: file: records without tables at byte ${HEADER_BYTES}`);
    }
  }

  /** The value of the first record with `key` (a view or copy, as `readAt` gives), or undefined.
   *  Throws DecodeError where the file is damaged, whatever readAt throws otherwise. */
  find(key: Uint8Array): Uint8Array | undefined {
    const hash = cdbHash(key);
    const table = this.#tables[hash & 255];
    if (table === undefined || table.slots === 0) return undefined;
    let probes = 0;
    for (const slot of this.#chain(table, hash)) {
      if (slot.record === 0) return undefined;
      if (++probes > MAX_PROBES) {
        throw new DecodeError(`cdb: table: more than ${MAX_PROBES} probes at byte ${table.at}`);
      }
      const head = this.#head(slot.record);
      if (cdbHash(head.key) !== slot.hash) {
        throw new DecodeError(`cdb: slot: hash is not that of the key at byte ${slot.record}`);
      }
      if (slot.hash === hash && equalBytes(head.key, key)) {
        return this.#read(head.valueAt, head.valueLength, "value");
      }
    }
    throw new DecodeError(`cdb: table: no empty slot at byte ${table.at}`);
  }

  /** Checks the whole file: records follow each other without a gap, each is in one slot where a
   *  look-up finds it, and no slot leads elsewhere. Time and memory grow with the file: meant
   *  for one that is held in memory. Throws DecodeError. */
  verify(): void {
    const unseen = new Map<number, number>();
    let at = HEADER_BYTES;
    while (at < this.#recordsEnd) {
      const head = this.#head(at);
      unseen.set(at, cdbHash(head.key));
      at = head.valueAt + head.valueLength;
    }
    for (const table of this.#tables) this.#verifyTable(table, unseen);
    for (const [record] of unseen) {
      throw new DecodeError(`cdb: record: in no table at byte ${record}`);
    }
  }

  #verifyTable(table: Table, unseen: Map<number, number>): void {
    const slots: Slot[] = [];
    for (const slot of this.#slots(table, 0)) slots.push(slot);
    for (const [i, slot] of slots.entries()) {
      if (slot.record === 0) continue;
      const where = `at byte ${table.at + 8 * i}`;
      if (unseen.get(slot.record) !== slot.hash) {
        throw new DecodeError(`cdb: slot: leads to no record of its own ${where}`);
      }
      unseen.delete(slot.record);
      const home = (slot.hash >>> 8) % table.slots;
      for (let j = home; j !== i; j = (j + 1) % table.slots) {
        if (slots[j]?.record === 0) {
          throw new DecodeError(`cdb: slot: out of reach of a look-up ${where}`);
        }
      }
    }
  }

  /** The slots of `table` in the order in which `hash` is looked up, each once. */
  *#chain(table: Table, hash: number): Generator<Slot> {
    const home = (hash >>> 8) % table.slots;
    yield* this.#slots(table, home);
    yield* this.#slots(table, 0, home);
  }

  *#slots(table: Table, from: number, to = table.slots): Generator<Slot> {
    for (let first = from; first < to; first += SLOTS_PER_READ) {
      const count = Math.min(SLOTS_PER_READ, to - first);
      const at = table.at + 8 * first;
      const reader = new Reader(this.#read(at, 8 * count, "table"), "cdb");
      for (let i = 0; i < count; i++) {
        const hash = reader.u32le("slot hash");
        const record = reader.u32le("slot position");
        const where = `at byte ${at + 8 * i}`;
        if (record === 0 && hash !== 0) {
          throw new DecodeError(`cdb: slot: empty but has a hash ${where}`);
        }
        if (record !== 0 && (hash & 255) !== table.index) {
          throw new DecodeError(`cdb: slot: belongs to another table ${where}`);
        }
        yield { hash, record };
      }
    }
  }

  /** Lengths and key of the record at `at`, all inside the record area. */
  #head(at: number): RecordHead {
    const left = this.#recordsEnd - at;
    if (at < HEADER_BYTES || left < 8) {
      throw new DecodeError(`cdb: record: outside the record area at byte ${at}`);
    }
    const start = this.#read(at, Math.min(RECORD_READ, left), "record");
    const reader = new Reader(start, "cdb");
    const keyLength = reader.u32le("key length");
    const valueLength = reader.u32le("value length");
    if (keyLength > MAX_KEY) {
      throw new DecodeError(`cdb: key length: over ${MAX_KEY} at byte ${at}`);
    }
    if (valueLength > MAX_VALUE) {
      throw new DecodeError(`cdb: value length: over ${MAX_VALUE} at byte ${at + 4}`);
    }
    if (8 + keyLength + valueLength > left) {
      throw new DecodeError(`cdb: record: reaches into the tables at byte ${at}`);
    }
    const key = keyLength <= reader.left
      ? reader.take(keyLength, "key")
      : this.#read(at + 8, keyLength, "key");
    return { key, valueAt: at + 8 + keyLength, valueLength };
  }

  #read(offset: number, length: number, field: string): Uint8Array {
    if (offset + length > this.size) {
      throw new DecodeError(`cdb: ${field}: beyond the end of the file at byte ${offset}`);
    }
    const bytes = this.readAt(offset, length);
    if (bytes.length !== length) {
      throw new DecodeError(`cdb: ${field}: file shrank at byte ${offset}`);
    }
    return bytes;
  }
}
