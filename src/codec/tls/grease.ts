/** GREASE: reserved numbers without a meaning (RFC 8701). */

/** True for a number that clients send to test that servers ignore unknown ones: 0x0a0a, 0x1a1a,
 *  … 0xfafa (RFC 8701 2). */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

/** True for such a number among the PSK modes: 0x0b, 0x2a, … 0xe4 (RFC 8701 2). */
export function isGreaseMode(value: number): boolean {
  return value >= 0x0b && (value - 0x0b) % 0x1f === 0;
}
