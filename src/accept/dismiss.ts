/** Ends the connection of a refused client to which something was sent. */

import type { Stream } from "../runtime/stream.ts";

/** Time that a refused client has to close, in milliseconds. */
const LINGER = 1000;

/** Ends our side, and discards input until the client closes. Closing with unread input makes the
 *  kernel send a reset, and the client could then lose what was sent. */
export function dismiss(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, LINGER);
    stream.take({ end: done, close: done });
    stream.end();
    stream.resume();
  });
}
