/** Reads the two time formats of X.509 (RFC 5280 4.1.2.5), as a number and as OpenSSL prints them.
 *  Pure: no I/O, no clock. Only forms with seconds and `Z` are accepted. Other forms (offsets,
 *  fractions) are ambiguous. */

import { latin1 } from "../bytes.ts";
import { type DerReader, TAG } from "../der.ts";

/** A point in time. */
export interface Time {
  /** Milliseconds since 1970. */
  readonly ms: number;
  /** As OpenSSL prints it: `Jan  2 10:57:43 2014 GMT`, the day padded with a space. */
  readonly text: string;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Reads a UTCTime or GeneralizedTime. */
export function readTime(reader: DerReader, field: string): Time {
  const { tag, content, start } = reader.read(field);
  const digits = latin1(content);
  const long = tag === TAG.generalizedTime;
  if (!long && tag !== TAG.utcTime) reader.fail(field, `type ${tag} is not a time`, start);
  if (!(long ? /^\d{14}Z$/ : /^\d{12}Z$/).test(digits)) reader.fail(field, "bad time", start);
  const at = long ? 4 : 2;
  const short = Number(digits.slice(0, at));
  // Two digits mean 1950 to 2049 (RFC 5280 4.1.2.5.1).
  const year = long ? short : short + (short < 50 ? 2000 : 1900);
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((i) =>
    Number(digits.slice(at + i, at + i + 2))
  ) as [number, number, number, number, number];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // Date carries a field out of range over: the 31st of June has become the 1st of July.
  const digitsBack = date.toISOString().replace(/\.\d+Z$/, "Z").replace(/[-:T]/g, "");
  if (digitsBack.slice(-11) !== digits.slice(-11)) reader.fail(field, "no such time", start);
  const clock = digits.slice(at + 4, -1).replace(/(..)(..)(..)/, "$1:$2:$3");
  const text = `${MONTHS[month - 1]} ${String(day).padStart(2)} ${clock} ${year} GMT`;
  return { ms: date.getTime(), text };
}
