/** D. J. Bernstein's constant database: writing. Pure: the caller stores the parts.
 *  The layout is that of cdbmake, record for record and slot for slot, so that our files are
 *  byte-identical to those of Debian's tcprules. Besides the file's own bytes the writer needs
 *  about 12 bytes of memory per record. */

import { cdbHash, HEADER_BYTES, MAX_KEY, MAX_VALUE } from "./cdb.ts";

/** Largest file, in bytes: positions in it are 32 bits wide. */
const MAX_FILE = 0xffff_ffff;

const BLOCK = 1 << 20;

/** Collects records; `finish` lays out the tables. */
export class CdbWriter {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  #block = new Uint8Array(4096);
  #used = 0;
  #at = HEADER_BYTES;
  #count = 0;
  #hashes = new Uint32Array(256);
  #positions = new Uint32Array(256);

  /** Records added so far. */
  get count(): number {
    return this.#count;
  }

  /** Adds a record. If several records have the same key, look-ups find the first. Throws
   *  RangeError for a record that the reader would refuse or the format cannot hold. */
  add(key: Uint8Array, value: Uint8Array): void {
    if (key.length > MAX_KEY) throw new RangeError(`cdb: key longer than ${MAX_KEY} bytes`);
    if (value.length > MAX_VALUE) throw new RangeError(`cdb: value longer than ${MAX_VALUE} bytes`);
    const length = 8 + key.length + value.length;
    if (this.#at + length + 16 * (this.#count + 1) > MAX_FILE) {
      throw new RangeError("cdb: file larger than 4 GB");
    }
    if (this.#count === this.#hashes.length) this.#grow();
    this.#hashes[this.#count] = cdbHash(key);
    this.#positions[this.#count] = this.#at;
    this.#count++;
    this.#at += length;

    if (this.#used + length > this.#block.length) this.#flush(length);
    const view = new DataView(this.#block.buffer, this.#used, 8);
    view.setUint32(0, key.length, true);
    view.setUint32(4, value.length, true);
    this.#block.set(key, this.#used + 8);
    this.#block.set(value, this.#used + 8 + key.length);
    this.#used += length;
  }

  /** Returns the file in parts, to be stored one after another. Call it once, after all `add`s. */
  finish(): Uint8Array<ArrayBuffer>[] {
    this.#flush(0);
    const perTable = new Uint32Array(257);
    for (let i = 0; i < this.#count; i++) {
      const next = ((this.#hashes[i] ?? 0) & 255) + 1;
      perTable[next] = (perTable[next] ?? 0) + 1;
    }
    const starts = perTable; // running sums: table t owns order[starts[t] .. starts[t + 1]]
    for (let t = 0; t < 256; t++) starts[t + 1] = (starts[t + 1] ?? 0) + (starts[t] ?? 0);
    const order = this.#inTableOrder(starts);

    const header = new Uint8Array(HEADER_BYTES);
    const headerView = new DataView(header.buffer);
    const tables = new Uint8Array(16 * this.#count);
    let at = 0;
    for (let t = 0; t < 256; t++) {
      const members = order.subarray(starts[t], starts[t + 1]);
      const slots = 2 * members.length;
      headerView.setUint32(8 * t, this.#at + at, true);
      headerView.setUint32(8 * t + 4, slots, true);
      this.#fill(new DataView(tables.buffer, at, 8 * slots), members, slots);
      at += 8 * slots;
    }
    return [header, ...this.#parts, tables];
  }

  /** Returns the record numbers sorted by table, and within a table in the order of `add`. */
  #inTableOrder(starts: Uint32Array): Uint32Array {
    const next = starts.slice();
    const order = new Uint32Array(this.#count);
    for (let i = 0; i < this.#count; i++) {
      const table = (this.#hashes[i] ?? 0) & 255;
      const place = next[table] ?? 0;
      next[table] = place + 1;
      order[place] = i;
    }
    return order;
  }

  #fill(table: DataView, members: Uint32Array, slots: number): void {
    for (const i of members) {
      const hash = this.#hashes[i] ?? 0;
      let slot = (hash >>> 8) % slots;
      while (table.getUint32(8 * slot + 4, true) !== 0) slot = (slot + 1) % slots;
      table.setUint32(8 * slot, hash, true);
      table.setUint32(8 * slot + 4, this.#positions[i] ?? 0, true);
    }
  }

  #grow(): void {
    const hashes = new Uint32Array(2 * this.#count);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const positions = new Uint32Array(2 * this.#count);
    positions.set(this.#positions);
    this.#positions = positions;
  }

  #flush(need: number): void {
    if (this.#used > 0) this.#parts.push(this.#block.subarray(0, this.#used));
    this.#block = new Uint8Array(need === 0 ? 0 : Math.max(BLOCK, need));
    this.#used = 0;
  }
}
