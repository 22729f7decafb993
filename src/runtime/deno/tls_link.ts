/** The encrypted side of Deno's `TLSSocket`: a Duplex of ours over a raw stream, past which the data go
 *  where that can be had. Knows nothing of handshakes.
 *
 *  Deno's `TLSSocket` does not stop reading when it is paused: it would take everything the peer
 *  sends into memory. So the Duplex gets only what the raw stream delivers, and the raw stream is
 *  paused together with the decrypted one. It is the same with writing: the TLS layer calls every
 *  write done at once, so the raw stream's queue says when it is enough. */

import type * as tls from "node:tls";
import { Duplex } from "node:stream";
import type { Stream } from "../stream.ts";
import { free } from "./stream.ts";

/** A failed client may keep its end open; its descriptor is not kept longer than this. */
const LINGER_MS = 1000;

/** The handle under Deno's TLSSocket, as far as needed here: see `direct` and `sendAlert`. */
export interface Handle {
  onerror?: (error: Error) => void;
  /** What the TLS library has made for the peer since the last call. */
  drainEncOut?: () => Uint8Array | undefined;
  /** Gives the TLS library what has come from the peer; of nothing, lets it go on. */
  readBuffer?: (chunk: Uint8Array) => void;
}

/** The encrypted side of a TLS socket, and whether the raw stream has said "no more". */
export interface EncryptedSide {
  readonly raw: Stream;
  readonly duplex: Duplex;
  full: boolean;
  /** Why the TLS library has given up. It says so before its socket does. */
  error: Error | undefined;
  /** Hands over what has come from the peer. */
  feed(chunk: Uint8Array): void;
}

/** What the TLS library reads and writes. Nothing here takes the raw stream or destroys it. */
export function encryptedSide(raw: Stream): EncryptedSide {
  const duplex = new Duplex({
    allowHalfOpen: true,
    autoDestroy: false, // it would take undelivered input along when both directions have ended
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

/** Takes the Duplex out of the way of the data: through it Deno 2.9.6 copies all that it sends once
 *  more. Where the names used here are unknown it stays, which is only slower. */
export function direct(socket: tls.TLSSocket, link: EncryptedSide): void {
  const { _handle: handle } = socket as unknown as { _handle?: Handle };
  if (handle?.drainEncOut === undefined || handle.readBuffer === undefined) return;
  const { drainEncOut, readBuffer } = handle;
  // Deno asks for what there is to send whenever there may be something, and is told that there is
  // nothing. What waits for room in the library's buffer is let in by reading nothing.
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

/** Notes an error of the TLS library as soon as it is there, and sends the alert that goes with it:
 *  over a Duplex, Deno 2.9.6 leaves that in its output buffer, and the client would see a closed
 *  connection and no reason. Where the names used here are unknown, only that is lost. */
export function hearErrors(socket: tls.TLSSocket, link: EncryptedSide): void {
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
