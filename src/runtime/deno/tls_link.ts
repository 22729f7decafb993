/** The encrypted side of Deno's `TLSSocket`: our Duplex over a raw stream, which the data bypass if
 *  possible (`direct`). Knows nothing of handshakes.
 *
 *  Deno's `TLSSocket` does not stop reading when it is paused: it would buffer everything the peer
 *  sends. So the Duplex gets only what the raw stream delivers, and the raw stream is paused
 *  together with the decrypted one. For output, the TLS layer reports every write as done at once,
 *  so back-pressure comes from the raw stream's queue. */

import type * as tls from "node:tls";
import { Duplex } from "node:stream";
import { free, type Stream } from "../stream.ts";

/** How long the descriptor of a failed client that does not close is kept, in milliseconds. */
const LINGER_MS = 1000;

/** The handle under Deno's TLSSocket, as far as needed here: see `direct` and `sendAlert`. */
export interface Handle {
  onerror?: (error: Error) => void;
  /** Returns the ciphertext made for the peer since the last call. */
  drainEncOut?: () => Uint8Array | undefined;
  /** Gives ciphertext of the peer to the TLS library. An empty chunk makes the library go on. */
  readBuffer?: (chunk: Uint8Array) => void;
}

/** The encrypted side of a TLS socket. `full`: the raw stream's `write` has returned false. */
export interface EncryptedSide {
  readonly raw: Stream;
  readonly duplex: Duplex;
  full: boolean;
  /** The error of the TLS library; set before its socket reports it. */
  error: Error | undefined;
  /** Gives ciphertext of the peer to the TLS library. */
  feed(chunk: Uint8Array): void;
}

/** Makes the Duplex that the TLS library reads and writes. Neither takes nor destroys the raw
 *  stream. */
export function encryptedSide(raw: Stream): EncryptedSide {
  const duplex = new Duplex({
    allowHalfOpen: true,
    autoDestroy: false, // it would drop undelivered input when both directions have ended
    read() {}, // the raw stream pushes
    write(chunk: Uint8Array, _encoding, done) {
      if (!raw.write(chunk)) link.full = true;
      done();
    },
  });
  const link: EncryptedSide = {
    raw,
    duplex,
    full: false,
    error: undefined,
    feed: (chunk) => duplex.push(chunk),
  };
  return link;
}

/** Makes the data bypass the Duplex, through which Deno 2.9.6 copies all output once more. If a
 *  version of Deno lacks the internal names used here, the Duplex is used, which is only slower. */
export function direct(socket: tls.TLSSocket, link: EncryptedSide): void {
  const { _handle: handle } = socket as unknown as { _handle?: Handle };
  if (handle?.drainEncOut === undefined || handle.readBuffer === undefined) return;
  const { drainEncOut, readBuffer } = handle;
  // Deno calls `drainEncOut` whenever there may be output. This writes the output to the raw stream
  // and returns none. Reading an empty chunk lets in plaintext that waits for room in the library's
  // buffer.
  handle.drainEncOut = () => {
    for (;;) {
      const chunk = drainEncOut.call(handle);
      if (chunk === undefined || chunk.byteLength === 0) return undefined;
      if (!link.raw.write(chunk, true)) link.full = true;
      readBuffer.call(handle, NOTHING);
    }
  };
  link.feed = (chunk) => {
    if (socket.destroyed) return;
    readBuffer.call(handle, chunk);
    handle.drainEncOut?.();
    free(chunk);
  };
}

const NOTHING = new Uint8Array(0);

/** Records an error of the TLS library at once, and sends its alert. Over a Duplex, Deno 2.9.6
 *  leaves the alert in its output buffer, so that the client would see a closed connection without
 *  a reason. If a version of Deno lacks the internal names used here, only the alert is lost. */
export function captureErrors(socket: tls.TLSSocket, link: EncryptedSide): void {
  const handle = (socket as unknown as { _handle?: Handle })._handle;
  const original = handle?.onerror;
  if (handle === undefined || original === undefined) return;
  const { drainEncOut } = handle; // not that of `direct`, which would go on reading after an error
  handle.onerror = function (error) {
    link.error ??= error;
    const alert = drainEncOut?.call(handle);
    if (alert !== undefined) link.raw.write(alert);
    original.call(this, error);
  };
}

/** Writes what is queued, then FIN; input is read and dropped until the client ends too, because
 *  closing with unread input makes the kernel send a reset, which may overtake the alert. */
export function linger(raw: Stream): void {
  const timer = setTimeout(() => raw.destroy(), LINGER_MS);
  raw.take({ close: () => clearTimeout(timer) });
  raw.end();
  raw.resume();
}
