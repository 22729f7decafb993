/** The server's side of a TLS connection on Deno's native handle: the handshake, and the stream after
 *  it. The raw stream is paused together with this one, because the library takes all that it gets. */

import { CLOSED, GIVEN_UP, lost, lostConnection } from "../endings.ts";
import type { StreamReason } from "../../reason.ts";
import { HandshakeError, type TlsError, type TlsSession, type TlsStream } from "../runtime.ts";
import { free, Owned, type Stream, type StreamHandler } from "../stream.ts";
import type { NativeContext, NativeTls } from "./native_tls.ts";
import { END_OF_DATA, handles } from "./handle.ts";
import { linger } from "./tls_link.ts";
import { breach, refusal } from "./words.ts";

/** A TLS connection. It belongs to nobody, and holds data and their end, until `resume()`. */
export class DirectTls extends Owned implements TlsStream {
  closeNotify = true;
  /** Resolves when the handshake is done. */
  readonly done: Promise<TlsStream>;
  readonly #raw: Stream;
  readonly #tls: OwnedTls;
  /** Set during the handshake. */
  #handshake: {
    resolve(stream: TlsStream): void;
    reject(error: HandshakeError): void;
    /** The client's first bytes. */
    begin: Uint8Array;
  } | undefined;
  #flowing = false;
  /** What the owner has not got yet. */
  #held: Uint8Array[] = [];
  #end: "open" | "close_notify" | "cut" = "open";
  #endTold = false;
  #outputOver = false;
  /** The raw stream's `write` has returned false. */
  #full = false;
  #rawClosed = false;
  #gone = false;

  constructor(raw: Stream, { Handle }: NativeContext) {
    super();
    this.#raw = raw;
    const { promise, resolve, reject } = Promise.withResolvers<TlsStream>();
    this.done = promise;
    this.#handshake = { resolve, reject, begin: NOTHING };
    this.#tls = new Handle(1, 0);
  }

  /** Begins the handshake on the raw stream, which belongs to this from then on. `first`: bytes read
   *  before. */
  begin(
    { settings }: NativeContext,
    alpn: readonly string[] | undefined,
    first: Uint8Array,
  ): this {
    const tls = this.#tls;
    tls.stream = this;
    tls.onread = onread;
    tls.onhandshakedone = onhandshakedone;
    tls.onerror = onerror;
    this.#raw.take(new RawSide(this));
    if (tls.initServerTls(settings) !== 0) {
      this.failed(new Error("certificate refused"));
      return this;
    }
    tls.attachJsStream();
    tls.setHandle(tls);
    if (alpn) tls.setAlpnProtocols(alpn);
    tls.start();
    tls.readStart();
    if (first.length > 0) this.feed(first);
    if (!this.#gone) this.#raw.resume();
    return this;
  }

  /** The stream, when the handshake is done. */
  get stream(): DirectTls | undefined {
    return this.#handshake === undefined ? this : undefined;
  }

  /** Ends a handshake under way, after the raw stream was destroyed. */
  stop(): void {
    this.#rawClosed = true;
    if (this.#handshake) this.#refuse(GIVEN_UP);
  }

  /** Gives bytes of the peer to the library. */
  feed(chunk: Uint8Array): void {
    // After close_notify, data is ignored (RFC 8446 6.1).
    if (this.#gone || this.#end !== "open") return;
    if (this.#handshake?.begin.length === 0) this.#handshake.begin = beginning(chunk);
    this.#tls.readBuffer(chunk);
    this.#flush();
    free(chunk);
    if (this.#held.length > 0 && !this.#gone) this.#raw.pause();
  }

  /** Sends what the library has made. Returns the number of bytes. */
  #flush(): number {
    const bytes = this.#tls.drainEncOut();
    const { length } = bytes;
    if (length > 0 && !this.#raw.write(bytes, true)) this.#full = true;
    return length;
  }

  /** For the handle: the handshake is done. */
  secured(): void {
    const { resolve } = this.#handshake ?? {};
    this.#handshake = undefined;
    resolve?.(this);
  }

  /** For the handle: data, or close_notify. */
  received(bytes: ArrayBuffer | undefined): void {
    if (this.#gone) return;
    if (bytes === undefined) {
      if (handles().readResult() === END_OF_DATA) return this.#ended("close_notify");
      return this.failed(new Error("read failed"));
    }
    const chunk = new Uint8Array(bytes);
    if (this.#flowing && this.#held.length === 0) this.owner.data?.(chunk);
    else this.#held.push(chunk);
  }

  /** For the handle: an error of the library, or an alert of the peer. */
  failed(error: Error): void {
    if (this.#gone) return;
    this.#flush(); // our alert
    if (this.#handshake) this.#refuse(refusal(error, this.#handshake.begin));
    else this.#fail(breach(error));
  }

  #refuse(cause: StreamReason): void {
    if (this.#gone) return;
    const { reject } = this.#handshake ?? {};
    reject?.(new HandshakeError(cause));
    this.#release();
    if (!this.#rawClosed) linger(this.#raw);
  }

  #fail(error: TlsError): void {
    if (this.#gone) return;
    this.#release();
    if (!this.#rawClosed) linger(this.#raw);
    this.tellClosed(error);
  }

  #release(): void {
    this.#gone = true;
    this.#held = [];
    this.#tls.destroySsl();
  }

  /** For `RawSide`: the peer has sent FIN. */
  rawEnded(): void {
    if (this.#handshake) this.#refuse(CLOSED);
    else if (this.#end === "open") this.#ended("cut");
    else this.#closeWhenOver();
  }

  #ended(how: "close_notify" | "cut"): void {
    this.#end = how;
    if (this.#flowing && this.#held.length === 0) this.#tellEnd();
  }

  #tellEnd(): void {
    this.#endTold = true;
    this.#raw.resume(); // only FIN matters now
    this.owner.end?.(this.#end === "cut");
    this.#closeWhenOver();
  }

  /** For `RawSide`. */
  rawDrained(): void {
    if (!this.#full) return;
    this.#full = false;
    if (!this.#gone) this.owner.drain?.();
  }

  /** For `RawSide`. */
  rawClosed(error: Error | undefined): void {
    this.#rawClosed = true;
    if (this.#handshake) this.#refuse(error ? lost(error) : CLOSED);
    else if (error) this.#fail(lostConnection(error));
    else this.#closeWhenOver();
  }

  #closeWhenOver(): void {
    if (!this.#endTold || !this.#rawClosed || this.#gone) return;
    this.#release();
    this.tellClosed();
  }

  pause(): void {
    this.#flowing = false;
    if (!this.#endTold) this.#raw.pause();
  }

  resume(): void {
    if (this.#gone || this.#flowing) return;
    this.#flowing = true;
    if (this.#held.length > 0 || this.#end !== "open") queueMicrotask(() => this.#deliver());
    else this.#raw.resume();
  }

  /** Gives the owner what was held. */
  #deliver(): void {
    while (this.#flowing && !this.#gone) {
      const chunk = this.#held.shift();
      if (chunk === undefined) break;
      this.owner.data?.(chunk);
    }
    if (!this.#flowing || this.#gone || this.#endTold) return;
    if (this.#end === "open") this.#raw.resume();
    else this.#tellEnd();
  }

  write(chunk: Uint8Array, spent = false): boolean {
    if (this.#gone || this.#outputOver || chunk.length === 0) return true;
    const { length } = chunk;
    this.#tls.writeBuffer(NO_REQUEST, chunk);
    this.#flush();
    if (spent) free(chunk);
    if (length > RECORD) {
      do this.#tls.readBuffer(NOTHING); while (this.#flush() > 0);
    }
    return !this.#full;
  }

  end(): void {
    if (this.#gone || this.#outputOver) return;
    this.#outputOver = true;
    if (this.closeNotify) {
      this.#tls.shutdown(NO_REQUEST);
      this.#flush();
    }
    this.#raw.end();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#release();
    this.#raw.destroy();
  }

  /** See `Socket.abort`. */
  abort(): void {
    if (this.#gone) return;
    this.destroy();
    this.tellClosed();
  }

  close(): void {
    this.destroy(); // no reset follows, because nothing is unread
  }

  suite(): { protocol: string; cipher: string } {
    const result: { protocol?: string; name?: string } = {};
    this.#tls.getProtocol(result);
    this.#tls.getCipher(result);
    return { protocol: result.protocol ?? "", cipher: result.name ?? "" };
  }

  session(): TlsSession {
    const result: { alpnProtocol?: string | false } = {};
    this.#tls.getAlpnNegotiatedProtocol(result);
    const serverName = this.#tls.getServername();
    return {
      ...this.suite(),
      reused: this.#tls.isSessionReused(),
      peerCertificates: [],
      ...(serverName ? { serverName } : {}),
      ...(result.alpnProtocol ? { alpn: result.alpnProtocol } : {}),
    };
  }
}

/** The owner of the raw stream. */
class RawSide implements StreamHandler {
  constructor(readonly tls: DirectTls) {}

  data(chunk: Uint8Array): void {
    this.tls.feed(chunk);
  }

  end(): void {
    this.tls.rawEnded();
  }

  drain(): void {
    this.tls.rawDrained();
  }

  close(error?: Error): void {
    this.tls.rawClosed(error);
  }
}

/** A handle that knows its stream: its handlers are the same functions for all. */
interface OwnedTls extends NativeTls {
  stream?: DirectTls;
}

function onread(this: OwnedTls, bytes: ArrayBuffer | undefined): void {
  this.stream?.received(bytes);
}

function onhandshakedone(this: OwnedTls): void {
  this.stream?.secured();
}

function onerror(this: OwnedTls, error: Error): void {
  this.stream?.failed(error);
}

/** A copy of the first bytes: feeding a chunk to the library may free it. */
const beginning = (chunk: Uint8Array): Uint8Array => Uint8Array.from(chunk.subarray(0, 5));

const NOTHING = new Uint8Array(0);
/** The library reports the end of writing to a request; a raw stream accepts everything. */
const NO_REQUEST = {};
/** The library takes at least this many bytes at once. */
const RECORD = 16_384;
