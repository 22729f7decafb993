/** Text made harmless for a line of a log or a terminal. Pure: no I/O. */

/** Each character outside printable ASCII becomes `?`. */
export function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}

/** Each control character (C0, DEL, C1) becomes `?`: for text that may be UTF-8. */
export function withoutControls(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "?");
}
