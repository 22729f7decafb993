/** Detects misspelled words. Pure. */

/** True if the words are equal or differ by one mistake: one letter too many, too few or wrong,
 *  or two adjacent letters swapped. */
export function isOneEdit(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  let [endA, endB] = [a.length, b.length];
  while (endA > at && endB > at && a[endA - 1] === b[endB - 1]) [endA, endB] = [endA - 1, endB - 1];
  if (endA - at < 2 && endB - at < 2) return true;
  return endA - at === 2 && endB - at === 2 && a[at] === b[at + 1] && a[at + 1] === b[at];
}
