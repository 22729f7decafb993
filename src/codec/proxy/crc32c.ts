/** CRC-32C, Castagnoli's (RFC 9260 appendix A, RFC 3720 B.4). Pure: no I/O. */

/** 0x1EDC6F41, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** A small table, for half a byte: every process makes it at its start, and a header is short. */
const TABLE = Uint32Array.from({ length: 16 }, (_, half) => {
  let value = half;
  for (let bit = 0; bit < 4; bit++) value = value & 1 ? value >>> 1 ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** The checksum of `bytes`, from 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    value = value >>> 4 ^ (TABLE[value & 0xf] as number);
    value = value >>> 4 ^ (TABLE[value & 0xf] as number);
  }
  return (value ^ 0xffffffff) >>> 0;
}
