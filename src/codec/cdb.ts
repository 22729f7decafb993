/** D. J. Bernstein's constant database: reading and checking. Pure: bytes come from `readAt`. 256
 *  header slots, then records, then hash tables, all 32-bit little-endian. The format has no
 *  checksum, and a rule that is not found means "allow", so damage must not pass for absence. The
 *  reader checks that the tables follow each other up to the end of the file, and that each slot
 *  that a look-up passes points to a record with that hash. `verify` checks the whole file. */

import { DecodeError, Reader } from "./bytes.ts";

export const HEADER_BYTES = 2048;

/** Longest key, in bytes. The longest rule key is an ident answer and a host name. The cap keeps a
 *  huge length in a damaged record from causing a huge allocation. */
export const MAX_KEY = 4096;

/** Longest value, in bytes; capped for the same reason. The variables of one connection need
 *  less. */
export const MAX_VALUE = 16_384;

/** Maximum number of slots that one look-up may read. A sound table is half empty, so a look-up
 *  reads a few slots, or some more for a key that occurs many times. In a hostile table it could
 *  read millions. */
export const MAX_PROBES = 65_536;

/** Slots fetched by one read: a look-up in a sound table rarely needs a second read. */
const SLOTS_PER_READ = 8;

/** Bytes fetched by the first read of a record: enough for its two lengths and most keys. */
const RECORD_READ = 72;

/** Returns `length` bytes from `offset`, or throws. Fewer bytes count as damage. The result
 *  needs to be valid only until the next call, so one buffer can serve all reads. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

interface Table {
  readonly index: number;
  readonly at: number;
  readonly slots: number;
}

/** The format's hash of `bytes[from..to]`: h = h × 33 ^ byte, from 5381, 32 bits. */
export function cdbHash(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let h = 5381;
  for (let i = from; i < to; i++) h = (Math.imul(h, 33) ^ bytes[i]!) >>> 0;
  return h;
}

function u32le(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
}

/** Looks up keys in a file of `size` bytes without loading it: 2 KB of header stay in memory, and
 *  a look-up reads a few dozen bytes. */
export class CdbReader {
  readonly #tables: Table[] = [];
  /** Where the records end and the first hash table begins. */
  readonly #recordsEnd: number;
  // Buffers for one look-up, reused so that it does not allocate hundreds of small objects.
  readonly #hashes = new Uint32Array(SLOTS_PER_READ);
  readonly #records = new Uint32Array(SLOTS_PER_READ);
  #keyBytes: Uint8Array = new Uint8Array(0);
  #keyAt = 0;
  #keyLength = 0;
  #valueLength = 0;

  /** Reads and checks the header. Throws DecodeError. */
  constructor(readonly readAt: ReadAt, readonly size: number) {
    const header = new Reader(this.#read(0, HEADER_BYTES, "header"), "cdb");
    for (let index = 0; index < 256; index++) {
      const at = header.u32le("table position");
      this.#tables.push({ index, at, slots: header.u32le("table length") });
    }
    // Empty tables take no space in the file, and writers differ in the position they give them.
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

  /** Returns a copy of the value of the first record with `key`, or undefined. Throws DecodeError
   *  if the file is damaged, and any error of `readAt`. */
  find(key: Uint8Array): Uint8Array | undefined {
    const hash = cdbHash(key);
    const table = this.#tables[hash & 255]!;
    let slot = table.slots === 0 ? 0 : (hash >>> 8) % table.slots;
    for (let probes = 0; probes < table.slots;) {
      const count = this.#loadSlots(table, slot);
      for (let i = 0; i < count; i++) {
        const record = this.#records[i]!;
        if (record === 0) return undefined;
        if (++probes > MAX_PROBES) {
          throw new DecodeError(`cdb: table: more than ${MAX_PROBES} probes at byte ${table.at}`);
        }
        this.#loadRecord(record);
        if (this.#keyHash() !== this.#hashes[i]) {
          throw new DecodeError(`cdb: slot: hash is not that of the key at byte ${record}`);
        }
        if (this.#hashes[i] === hash && this.#keyIs(key)) {
          const at = record + 8 + this.#keyLength;
          return this.#read(at, this.#valueLength, "value").slice();
        }
      }
      slot = (slot + count) % table.slots;
    }
    if (table.slots === 0) return undefined;
    throw new DecodeError(`cdb: table: no empty slot at byte ${table.at}`);
  }

  /** Yields copies of all records in file order. Throws DecodeError if one is damaged. */
  *records(): Generator<{ key: Uint8Array; value: Uint8Array }> {
    for (let at = HEADER_BYTES; at < this.#recordsEnd;) {
      this.#loadRecord(at);
      const key = this.#keyBytes.slice(this.#keyAt, this.#keyAt + this.#keyLength);
      const valueAt = at + 8 + this.#keyLength;
      at = valueAt + this.#valueLength;
      yield { key, value: this.#read(valueAt, this.#valueLength, "value").slice() };
    }
  }

  /** Checks the whole file: records follow each other without a gap, each record is in one slot
   *  that a look-up can reach, and no slot points elsewhere. Time and memory grow with the file,
   *  so use this for a file held in memory. Throws DecodeError. */
  verify(): void {
    const unseen = new Map<number, number>();
    for (let at = HEADER_BYTES; at < this.#recordsEnd;) {
      this.#loadRecord(at);
      unseen.set(at, this.#keyHash());
      at += 8 + this.#keyLength + this.#valueLength;
    }
    for (const table of this.#tables) this.#verifyTable(table, unseen);
    for (const [record] of unseen) {
      throw new DecodeError(`cdb: record: in no table at byte ${record}`);
    }
  }

  #verifyTable(table: Table, unseen: Map<number, number>): void {
    const empty: boolean[] = [];
    const homes: number[] = [];
    while (empty.length < table.slots) {
      const count = this.#loadSlots(table, empty.length);
      for (let i = 0; i < count; i++) {
        const [hash, record] = [this.#hashes[i]!, this.#records[i]!];
        if (record !== 0 && unseen.get(record) !== hash) {
          const at = table.at + 8 * empty.length;
          throw new DecodeError(`cdb: slot: leads to no record of its own at byte ${at}`);
        }
        unseen.delete(record);
        empty.push(record === 0);
        homes.push((hash >>> 8) % table.slots);
      }
    }
    for (const [i, home] of homes.entries()) {
      for (let j = empty[i] ? i : home; j !== i; j = (j + 1) % table.slots) {
        if (empty[j]) {
          const at = table.at + 8 * i;
          throw new DecodeError(`cdb: slot: out of reach of a look-up at byte ${at}`);
        }
      }
    }
  }

  /** Reads slots of `table`, from number `first` on, into #hashes and #records. Returns their
   *  number: at least one, and none past the end of the table. */
  #loadSlots(table: Table, first: number): number {
    const count = Math.min(SLOTS_PER_READ, table.slots - first);
    const at = table.at + 8 * first;
    const bytes = this.#read(at, 8 * count, "table");
    for (let i = 0; i < count; i++) {
      const hash = this.#hashes[i] = u32le(bytes, 8 * i);
      const record = this.#records[i] = u32le(bytes, 8 * i + 4);
      if (record === 0 && hash !== 0) {
        throw new DecodeError(`cdb: slot: empty but has a hash at byte ${at + 8 * i}`);
      }
      if (record !== 0 && (hash & 255) !== table.index) {
        throw new DecodeError(`cdb: slot: belongs to another table at byte ${at + 8 * i}`);
      }
    }
    return count;
  }

  /** Reads lengths and key of the record at `at`, which must lie inside the record area, into
   *  #keyBytes, #keyAt, #keyLength and #valueLength. */
  #loadRecord(at: number): void {
    const left = this.#recordsEnd - at;
    if (at < HEADER_BYTES || left < 8) {
      throw new DecodeError(`cdb: record: outside the record area at byte ${at}`);
    }
    const head = this.#read(at, Math.min(RECORD_READ, left), "record");
    this.#keyLength = u32le(head, 0);
    this.#valueLength = u32le(head, 4);
    if (this.#keyLength > MAX_KEY) {
      throw new DecodeError(`cdb: key length: over ${MAX_KEY} at byte ${at}`);
    }
    if (this.#valueLength > MAX_VALUE) {
      throw new DecodeError(`cdb: value length: over ${MAX_VALUE} at byte ${at + 4}`);
    }
    if (8 + this.#keyLength + this.#valueLength > left) {
      throw new DecodeError(`cdb: record: reaches into the tables at byte ${at}`);
    }
    const whole = 8 + this.#keyLength <= head.length;
    this.#keyBytes = whole ? head : this.#read(at + 8, this.#keyLength, "key");
    this.#keyAt = whole ? 8 : 0;
  }

  #keyHash(): number {
    return cdbHash(this.#keyBytes, this.#keyAt, this.#keyAt + this.#keyLength);
  }

  #keyIs(key: Uint8Array): boolean {
    if (key.length !== this.#keyLength) return false;
    for (let i = 0; i < key.length; i++) {
      if (key[i] !== this.#keyBytes[this.#keyAt + i]) return false;
    }
    return true;
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
