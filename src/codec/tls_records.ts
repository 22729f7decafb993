/** Follows the encrypted records of one direction of a TLS connection. This distinguishes
 *  close_notify from a FIN without it if the TLS library reports both alike. Pure. RFC 8446 5.1
 *  and 6.1; RFC 5246 7.2.1. */

const ALERT = 21;
const APPLICATION_DATA = 23;
/** Length of a TLS 1.3 record beyond its data: the inner content type and the tag. */
const TLS13_OVERHEAD = 17;
/** Length of an alert that is not encrypted. */
const PLAIN_ALERT = 2;
/** Length of a TLS 1.3 record that holds an alert. The outer type of such a record is application data. */
const TLS13_ALERT = 2 + TLS13_OVERHEAD;

/** One per connection. Call `feed` with each piece of ciphertext before the library decrypts it,
 *  then `decrypted` with the number of bytes that the library returns. */
export class RecordTail {
  /** Bytes received of the current record's header, and bytes still missing of its body. */
  #header = 0;
  #left = 0;
  #type = 0;
  #length = 0;
  /** Inner bytes of the TLS 1.3 records that the last piece has completed, and data decrypted since. */
  #data = 0;
  #decrypted = 0;
  /** True once data were decrypted: all later records are data or alerts. */
  #begun = false;
  /** Inner bytes of each of these records, as long as some may belong to the handshake. */
  #sizes: number[] | undefined;
  /** Description of the last unencrypted alert. */
  #alert: number | undefined;

  feed(piece: Uint8Array): void {
    this.#data = this.#decrypted = 0;
    this.#sizes = undefined;
    for (let at = 0; at < piece.length;) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, piece.length - at);
        at += size;
        this.#left -= size;
        if (this.#left === 0 && this.#type === ALERT && this.#length === PLAIN_ALERT) {
          this.#alert = piece[at - 1];
        }
        if (this.#left === 0) this.#complete();
        continue;
      }
      const byte = piece[at++] as number;
      if (this.#header === 0) this.#type = byte;
      else if (this.#header === 3) this.#length = byte << 8;
      else if (this.#header === 4) this.#length += byte;
      if (++this.#header < 5) continue;
      this.#header = 0;
      this.#left = this.#length;
    }
  }

  #complete(): void {
    if (this.#type !== APPLICATION_DATA) return;
    const size = Math.max(0, this.#length - TLS13_OVERHEAD);
    this.#data += size;
    if (!this.#begun) (this.#sizes ??= []).push(size);
  }

  /** Call this when the library has decrypted `count` bytes of data. */
  decrypted(count: number): void {
    this.#decrypted += count;
    this.#begun = true;
  }

  /** The description of an alert that the peer sent unencrypted (RFC 8446 6), if it sent one. Not
   *  authenticated: it is a hint for the log. */
  get plainAlert(): number | undefined {
    return this.#alert;
  }

  /** True if the last record is an alert. If the peer's data end with it, it is close_notify. */
  get endsWithAlert(): boolean {
    if (this.#header > 0 || this.#left > 0) return false;
    if (this.#type === ALERT) return true;
    if (this.#type !== APPLICATION_DATA || this.#length !== TLS13_ALERT) return false;
    // A record of this length can also contain two bytes of data, which then have been decrypted. The
    // first records of the piece can be the last of the handshake, whose bytes are not data.
    let data = this.#data;
    for (const size of this.#sizes ?? []) {
      if (data === this.#decrypted) return false;
      if (data - TLS13_ALERT + TLS13_OVERHEAD === this.#decrypted) return true;
      data -= size;
    }
    return this.#data > this.#decrypted;
  }
}
