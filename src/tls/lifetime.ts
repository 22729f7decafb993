/** How long certificates last, and when to warn. Pure: no I/O, no clock. */

import type { Certificate } from "../codec/x509/certificate.ts";

type Dates = Pick<Certificate, "notBefore" | "notAfter">;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Certificates of 90 days are renewed when 30 days are left, shorter ones when a third is left. */
const MOST = 30 * DAY;

/** True if the certificate should have been renewed, and has not expired. */
export function endsSoon({ notBefore, notAfter }: Dates, now: number): boolean {
  const left = notAfter.ms - now;
  return left >= 0 && left < Math.min(MOST, (notAfter.ms - notBefore.ms) / 3);
}

/** Returns the remaining time: `12 days`, or `30 hours`. */
export function timeLeft({ notAfter }: Dates, now: number): string {
  const hours = Math.floor((notAfter.ms - now) / HOUR);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours === 1 ? "1 hour" : `${hours} hours`;
}

/** True from `notBefore` to `notAfter`, both included. */
export function isValid({ notBefore, notAfter }: Dates, now: number): boolean {
  return notBefore.ms <= now && now <= notAfter.ms;
}

/** Returns when the next of them becomes valid or expires; `Infinity` if none will. Until then the
 *  same ones are valid. */
export function nextChange(certificates: readonly Dates[], now: number): number {
  const later = certificates.flatMap(({ notBefore, notAfter }) => [notBefore.ms, notAfter.ms + 1])
    .filter((ms) => ms > now);
  return Math.min(...later, Infinity);
}
