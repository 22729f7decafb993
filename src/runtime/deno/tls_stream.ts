/** A TLS connection under Deno after its handshake (tls.ts). */

import type * as tls from "node:tls";
import { breach } from "./words.ts";
import { lostConnection } from "../endings.ts";
import type { TlsError, TlsSession, TlsStream } from "../runtime.ts";
import { free, Owned } from "../stream.ts";
import { sessionOf, suiteOf } from "./context.ts";
import { HIGH_WATER } from "./stream.ts";
import { type EncryptedSide, type Handle, linger } from "./tls_link.ts";

/** A TLS connection whose handshake is done. */
export class DenoTlsStream extends Owned implements TlsStream {
  closeNotify = true;
  readonly #socket: tls.TLSSocket;
  readonly #link: EncryptedSide;
  #full = false;
  /** FIN has come before close_notify. */
  #cut = false;
  #inputOver = false;
  /** `end()` was called, without close_notify. */
  #ending = false;
  #rawClosed = false;
  #gone = false;

  constructor(socket: tls.TLSSocket, link: EncryptedSide) {
    super();
    this.#socket = socket;
    this.#link = link;
    const { raw } = link;
    raw.pause();
    raw.take({
      // After close_notify, data is ignored, and only FIN matters (RFC 8446 6.1).
      data: (chunk) => this.#inputOver || link.feed(chunk),
      end: () => this.rawEnded(),
      drain: () => {
        link.full = false;
        this.#drained();
      },
      close: (error) => {
        this.#rawClosed = true;
        if (error === undefined) this.#closeWhenOver();
        else this.#fail(link.error ? breach(link.error) : lostConnection(error));
      },
    });
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => this.owner.data?.(chunk));
    socket.on("end", () => {
      if (this.#gone) return;
      this.#inputOver = true;
      raw.resume();
      this.owner.end?.(this.#cut);
      this.#closeWhenOver();
    });
    const { _handle: handle } = socket as unknown as { _handle?: Handle };
    socket.on("finish", () => {
      // close_notify, without which the end looks like a truncation (RFC 8446 6.1)
      const rest = handle?.drainEncOut?.();
      if (rest !== undefined) raw.write(rest);
      raw.end();
    });
    const fail = (error: Error) => this.#fail(breach(error));
    socket.on("error", fail).on("_tlsError", fail);
  }

  /** The peer has sent FIN. */
  rawEnded(): void {
    this.#cut = !ended(this.#socket);
    this.#link.duplex.push(null);
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
    if (this.#gone || this.#over || chunk.length === 0) return true;
    // The callback instead of "drain", which comes only at the mark set in tls.ts, and so never.
    this.#socket.write(chunk, () => {
      if (spent) free(chunk);
      this.#drained();
      this.#endPlain();
    });
    this.#full ||= this.#crowded();
    return !this.#full;
  }

  end(): void {
    if (this.#gone || this.#over) return;
    if (this.closeNotify) return void this.#socket.end();
    this.#ending = true;
    this.#endPlain();
  }

  /** True if output is no longer accepted. */
  get #over(): boolean {
    return this.#ending || this.#socket.writableEnded;
  }

  /** Ends the raw stream once the library has all output: `direct` has then queued the ciphertext. */
  #endPlain(): void {
    if (this.#ending && !this.#gone && this.#socket.writableLength === 0) this.#link.raw.end();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#link.raw.destroy();
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
    this.owner.drain?.();
  }

  #closeWhenOver(): void {
    if (!this.#inputOver || !this.#rawClosed || this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.tellClosed();
  }

  /** Handles a reset, or a breach of TLS; the alert is already in the raw stream's queue. */
  #fail(error: TlsError): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    if (!this.#rawClosed) linger(this.#link.raw);
    this.tellClosed(error);
  }
}

/** True if the library has seen close_notify. If a version of Deno lacks the internal names used
 *  here, a FIN without close_notify is not noticed. */
function ended(socket: tls.TLSSocket): boolean {
  const { _readableState: state } = socket as unknown as { _readableState?: { ended?: boolean } };
  return state?.ended ?? true;
}
