/** Two streams joined: what one receives, the other sends. Traced connections need this, because
 *  Bun's TLS sockets do not show what they send. TLS runs on one end of a socket pair, and the
 *  other end is joined to the connection. */

import type { Stream } from "../stream.ts";

/** Joins the connection `outer` and the plain end of the pair, which belong to this function from
 *  then on. Calls `lost` when the connection is closed, with the error if there is one. */
export function join(outer: Stream, pair: Stream, lost: (error?: Error) => void): void {
  let full = false;
  let pairClosed = false;
  const closeOuter = (): void => {
    outer.end();
    outer.close();
  };
  pair.take({
    data(chunk) {
      if (outer.write(chunk)) return;
      full = true;
      pair.pause();
    },
    end: () => outer.end(),
    drain: () => outer.resume(),
    close() {
      pairClosed = true;
      if (!full) closeOuter(); // otherwise the last bytes, such as an alert, would be lost
    },
  });
  outer.take({
    data(chunk) {
      if (pairClosed) return;
      if (!pair.write(chunk)) outer.pause();
    },
    end: () => pair.end(),
    drain() {
      full = false;
      if (pairClosed) closeOuter();
      else pair.resume();
    },
    close(error) {
      lost(error);
      pair.destroy();
    },
  });
  pair.resume();
  outer.resume();
}
