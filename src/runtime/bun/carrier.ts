/** A native socket on Bun on which TLS can begin. The TLS stream itself is in tls.ts. */

import { concat } from "../../codec/bytes.ts";
import { free, NO_HANDLER } from "../stream.ts";
import { BunStream } from "./stream.ts";
import {
  type BunTlsOptions,
  BunTlsStream,
  clientTlsHandler,
  keylogHandler,
  tlsHandler,
} from "./tls.ts";
import type { NativeSocket } from "./types.ts";
import { CLOSED } from "../endings.ts";
import type { Libc } from "../libc/libc.ts";
import { HandshakeError, type TlsStream } from "../runtime.ts";

/** A native socket that becomes the carrier of a TLS stream. From then on `#tls` is set. The native
 *  plain socket still delivers the ciphertext, and the owner of this stream gets no more events. */
export class BunTlsCarrier extends BunStream {
  #tls: BunTlsStream | undefined;

  constructor(native: NativeSocket<BunStream>, readonly libc: Libc) {
    super(native);
  }

  /** See `Socket.startTls`; without `isServer`, as the client. */
  upgrade(
    options: BunTlsOptions,
    first: Uint8Array,
    { isServer }: { isServer?: true },
  ): Promise<TlsStream> {
    return new Promise((resolve, reject) => {
      if (this.gone) return reject(new HandshakeError(CLOSED));
      const { held, ended } = this.takeHeld();
      const stream = new BunTlsStream(this.native, options.rejectUnauthorized, this.libc);
      stream.settle = (error) => {
        if (error) return reject(error);
        if (isServer) stream.acknowledge();
        resolve(stream);
      };
      this.#tls = stream;
      this.take(NO_HANDLER);
      const initialData = held.length === 0 ? first : concat([first, ...held]);
      stream.ciphertext(initialData); // Bun delivers only later ciphertext
      const pair = this.native.upgradeTLS<BunStream>({
        data: stream,
        tls: options,
        ...(isServer || initialData.length > 0 ? { initialData } : {}),
        ...(isServer ? { isServer } : {}),
        socket: !isServer
          ? clientTlsHandler
          : options.keylog
          ? keylogHandler(options.keylog)
          : tlsHandler,
      });
      if (!pair) {
        this.destroy();
        reject(new HandshakeError(CLOSED));
        return;
      }
      this.native = pair[0]; // the native socket from before is no longer valid
      stream.attach(pair[1]);
      pair[1].resume();
      // Bun's TLS has not seen the end of data. It first reports its result for the bytes before.
      if (ended) setImmediate(() => stream.breakOff());
    });
  }

  /** Ends the TLS stream as if the peer had closed the connection. */
  lose(error?: Error): void {
    if (error) this.#tls?.failed(error);
    this.native.close();
  }

  override destroy(): void {
    if (this.#tls) this.#tls.destroy();
    else super.destroy();
  }

  override abort(): void {
    if (this.#tls) this.#tls.abort();
    else super.abort();
  }

  /** Sends FIN, not a reset: a denied client sees end of file, as with tcpserver. */
  protected override hangUp(): void {
    this.native.close();
  }

  override close(): void {
    if (this.#tls) this.#tls.close();
    else super.close();
  }

  override received(bytes: Uint8Array): void {
    if (!this.#tls) return super.received(bytes);
    this.#tls.ciphertext(bytes);
    free(bytes); // a copy for this event; TLS reads Bun's own buffer
  }

  override ended(): void {
    if (!this.#tls) super.ended();
  }

  override closed(error?: Error): void {
    if (!this.#tls) super.closed(error);
  }
}
