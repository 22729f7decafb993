/** Makes text safe to print in a log line or on a terminal. Pure: no I/O. */

/** Each character outside printable ASCII becomes `?`. */
export function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}

/** Each control character (C0, DEL, C1) becomes `?`. For text that may have other characters than
 *  ASCII. */
export function withoutControls(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "?");
}
