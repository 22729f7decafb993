/** TLS as the server, by `node:tls` (rustls in Deno), over any stream of this folder.
 *
 *  Deno's `TLSSocket` does not stop reading when it is paused: it would take everything the peer
 *  sends into memory. So the encrypted side is ours: a Duplex that gets only what the raw stream
 *  delivers, and the raw stream is paused together with the decrypted one. It is the same with
 *  writing: the TLS layer calls every write done at once, so the raw stream's queue says when it
 *  is enough. */

import * as tls from "node:tls";
import { Duplex } from "node:stream";
import { breach, refusal } from "./words.ts";
import { CLOSED, GIVEN_UP, lost, lostConnection } from "../endings.ts";
import type { StreamReason } from "../../reason.ts";
import {
  HandshakeError,
  type Stream,
  type TlsError,
  type TlsSession,
  type TlsStream,
} from "../runtime.ts";
import { free, HIGH_WATER } from "./stream.ts";
import { type ContextParts, namingOnly, sessionOf, suiteOf } from "./context.ts";

/** A failed client may keep its end open; its descriptor is not kept longer than this. */
const LINGER_MS = 1000;

const nothing = () => {};

/** The handle under Deno's TLSSocket, as far as needed here: see `direct` and `sendAlert`. */
interface Handle {
  onerror?: (error: Error) => void;
  /** What the TLS library has made for the peer since the last call. */
  drainEncOut?: () => Uint8Array | undefined;
  /** Gives the TLS library what has come from the peer; of nothing, lets it go on. */
  readBuffer?: (chunk: Uint8Array) => void;
}

/** A handshake under way. */
export interface Handshake {
  done: Promise<TlsStream>;
  /** The raw stream has been destroyed. Does nothing when the handshake is over. */
  abort(): void;
}

/** The encrypted side of a TLS socket, and whether the raw stream has said "no more". */
interface Link {
  readonly raw: Stream;
  readonly duplex: Duplex;
  full: boolean;
  /** Why the TLS library has given up. It says so before its socket does. */
  error: Error | undefined;
  /** Hands over what has come from the peer. */
  feed(chunk: Uint8Array): void;
}

/** Begins TLS on `raw`, which belongs to the result from then on. `first` was read before. */
export function startServerTls(raw: Stream, context: ContextParts, first: Uint8Array): Handshake {
  const { promise, resolve, reject } = Promise.withResolvers<TlsStream>();
  const link = encryptedSide(raw);
  const options = {
    isServer: true,
    // Once its buffer was full, Deno 2.9.6 forgets a close_notify that came with the last bytes. The
    // gate below bounds the buffer: at most what one or two reads bring is ever in it.
    highWaterMark: ROOMY,
    secureContext: context.requestCertificate ? namingOnly(context.secure) : context.secure,
    requestCert: context.requestCertificate,
    rejectUnauthorized: context.requireCertificate,
    ...(context.alpn === undefined ? {} : { ALPNProtocols: context.alpn }),
  };
  const socket = new tls.TLSSocket(link.duplex, options);
  hearErrors(socket, link);
  direct(socket, link);

  let over = false;
  let begin = beginning(first);
  const fail = (cause: StreamReason, rawClosed = false) => {
    if (over) return;
    over = true;
    reject(new HandshakeError(cause));
    socket.destroy();
    if (!rawClosed) linger(raw);
  };
  const onError = (error: Error) => fail(refusal(error, begin));
  const onClose = () => fail(CLOSED);
  socket.on("error", onError).on("close", onClose);
  socket.once("secure", () => {
    if (over) return;
    over = true;
    raw.onData = link.feed;
    const stream = new DenoTlsStream(socket, link);
    socket.off("error", onError).off("close", onClose);
    resolve(stream);
    late();
  });

  raw.onData = (chunk) => {
    if (begin.length === 0) begin = beginning(chunk);
    link.feed(chunk);
  };
  // What the library has to say of the bytes before comes first. If that is the handshake's end, the
  // stream hears of its own.
  let late: () => void = nothing;
  const rawOver = (cause: StreamReason, closed: boolean, again: () => void) => {
    late = () => queueMicrotask(again);
    setImmediate(() => fail(link.error ? refusal(link.error, begin) : cause, closed));
  };
  raw.onEnd = () => rawOver(CLOSED, false, () => raw.onEnd());
  raw.onClose = (error) => {
    const cause = error ? lost(error) : CLOSED;
    rawOver(cause, true, () => raw.onClose(error));
  };
  // The socket starts in the next tick. Were there something to read by then that it refuses, Deno
  // 2.9.6 would go on with a handle that is gone and throw where nobody can catch it.
  setImmediate(() => {
    if (over) return;
    if (first.length > 0) link.feed(first);
    raw.resume();
  });
  return { done: promise, abort: () => fail(GIVEN_UP, true) };
}

/** A copy of the first bytes: feeding a chunk to the library may free it. */
const beginning = (chunk: Uint8Array): Uint8Array => Uint8Array.from(chunk.subarray(0, 5));

/** More than is ever buffered, see `startServerTls`; in bytes. */
const ROOMY = 1 << 20;

/** What the TLS library reads and writes. Nothing here destroys the raw stream. */
function encryptedSide(raw: Stream): Link {
  const duplex = new Duplex({
    allowHalfOpen: true,
    autoDestroy: false, // it would take undelivered input along when both directions have ended
    read: nothing, // the raw stream pushes
    write(chunk: Uint8Array, _encoding, done) {
      if (!raw.write(chunk)) link.full = true;
      done();
    },
  });
  const link: Link = {
    raw,
    duplex,
    full: false,
    error: undefined,
    feed: (chunk) => duplex.push(chunk),
  };
  raw.onDrain = () => link.full = false;
  return link;
}

/** Takes the Duplex out of the way of the data: through it Deno 2.9.6 copies all that it sends once
 *  more. Where the names used here are unknown it stays, which is only slower. */
function direct(socket: tls.TLSSocket, link: Link): void {
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
function hearErrors(socket: tls.TLSSocket, link: Link): void {
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
function linger(raw: Stream): void {
  const timer = setTimeout(() => raw.destroy(), LINGER_MS);
  raw.onData = raw.onEnd = raw.onDrain = nothing;
  raw.onClose = () => clearTimeout(timer);
  raw.end();
  raw.resume();
}

/** True when the library has seen close_notify. Where the names used here are unknown, a FIN without
 *  it is not noticed. */
function ended(socket: tls.TLSSocket): boolean {
  const { _readableState: state } = socket as unknown as { _readableState?: { ended?: boolean } };
  return state?.ended ?? true;
}

/** A TLS connection whose handshake is done. */
class DenoTlsStream implements TlsStream {
  onData: (chunk: Uint8Array) => void = nothing;
  onEnd: (cut?: boolean) => void = nothing;
  onClose: (error?: Error) => void = nothing;
  onDrain: () => void = nothing;
  failure: Error | undefined;

  readonly #socket: tls.TLSSocket;
  readonly #link: Link;
  #full = false;
  /** FIN has come before close_notify. */
  #cut = false;
  #inputOver = false;
  #rawClosed = false;
  #gone = false;

  constructor(socket: tls.TLSSocket, link: Link) {
    this.#socket = socket;
    this.#link = link;
    const { raw, duplex } = link;
    raw.pause();
    raw.onEnd = () => {
      this.#cut = !ended(socket);
      duplex.push(null);
    };
    raw.onDrain = () => {
      link.full = false;
      this.#drained();
    };
    raw.onClose = (error) => {
      this.#rawClosed = true;
      if (error === undefined) this.#closeWhenOver();
      else this.#fail(link.error ? breach(link.error) : lostConnection(error));
    };
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => this.onData(chunk));
    socket.on("end", () => {
      if (this.#gone) return;
      this.#inputOver = true;
      raw.onData = nothing; // after close_notify only the FIN is of interest (RFC 8446 6.1)
      raw.resume();
      this.onEnd(this.#cut);
      this.#closeWhenOver();
    });
    const { _handle: handle } = socket as unknown as { _handle?: Handle };
    socket.on("finish", () => {
      // close_notify, without which the end looks like a cut (RFC 8446 6.1)
      const rest = handle?.drainEncOut?.();
      if (rest !== undefined) raw.write(rest);
      raw.end();
    });
    const fail = (error: Error) => this.#fail(breach(error));
    socket.on("error", fail).on("_tlsError", fail);
  }

  get gone(): boolean {
    return this.#gone;
  }

  pause(): void {
    if (!this.#inputOver) this.#link.raw.pause();
    this.#socket.pause();
  }

  resume(): void {
    if (this.#gone) return;
    this.#socket.resume();
    this.#link.raw.resume();
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#gone || this.#socket.writableEnded || chunk.length === 0) return true;
    // "drain" would come with the mark above alone, and so never.
    this.#socket.write(chunk, () => {
      if (spent) free(chunk);
      this.#drained();
    });
    this.#full ||= this.#crowded();
    return !this.#full;
  }

  end(): void {
    if (!this.#gone) this.#socket.end();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#link.raw.destroy();
  }

  close(): void {
    this.destroy(); // the system sends no reset when nothing is unread
  }

  suite(): { protocol: string; cipher: string } {
    return suiteOf(this.#socket);
  }

  session(): TlsSession {
    return sessionOf(this.#socket);
  }

  #crowded(): boolean {
    return this.#link.full || this.#socket.writableLength >= HIGH_WATER;
  }

  #drained(): void {
    if (this.#gone || !this.#full || this.#crowded()) return;
    this.#full = false;
    this.onDrain();
  }

  #closeWhenOver(): void {
    if (!this.#inputOver || !this.#rawClosed || this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.onClose();
  }

  /** A reset, or a breach of TLS, whose alert is in the raw stream's queue. */
  #fail(error: TlsError): void {
    if (this.#gone) return;
    this.#gone = true;
    this.failure = error;
    this.#socket.destroy();
    if (!this.#rawClosed) linger(this.#link.raw);
    this.onClose(error);
  }
}
