/** -rev of s_server: sends each line of the client back, its bytes in reverse order. `CLOSE` alone on
 *  a line ends the connection. */

import { concat } from "../codec/bytes.ts";
import type { Handler } from "../program/handler.ts";

/** Longest line, in bytes. A longer one is reversed in pieces. */
const MAX_LINE = 16_384;
const LF = 10;
const CR = 13;
const CLOSE = "CLOSE";

export const reverseHandler: Handler = async ({ readable, writable }) => {
  const writer = writable.getWriter();
  let begun: Uint8Array = new Uint8Array(0);
  for await (const chunk of readable) {
    let rest = chunk;
    while (rest.length > 0) {
      const room = MAX_LINE - begun.length;
      const at = rest.subarray(0, room).indexOf(LF);
      const taken = at < 0 ? Math.min(room, rest.length) : at + 1;
      begun = concat([begun, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      if (at < 0 && begun.length < MAX_LINE) continue;
      const line = withoutEnd(begun);
      if (new TextDecoder().decode(line) === CLOSE) return;
      await writer.write(reversed(line));
      begun = new Uint8Array(0);
    }
  }
  await writer.close();
};

function withoutEnd(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && (line[end - 1] === LF || line[end - 1] === CR)) end--;
  return line.subarray(0, end);
}

/** The line in reverse order, with a line feed. */
export function reversed(line: Uint8Array): Uint8Array {
  return Uint8Array.from([...line.toReversed(), LF]);
}
