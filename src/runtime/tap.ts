/** Shows the bytes of a stream to an observer as they pass. Only traced connections use it. */

import type { Stream, StreamHandler } from "./stream.ts";

/** Gets the bytes of a TLS connection as they are on the network: received ones before the TLS
 *  library reads them, sent ones after it has made them. Must not throw, keep or change them. */
export interface TlsTap {
  received(bytes: Uint8Array): void;
  sent(bytes: Uint8Array): void;
}

/** Descriptors that a tapped connection may have beyond its socket. */
export const TAP_DESCRIPTORS = 2;

/** A stream whose bytes are also passed to a tap. */
export class TappedStream implements Stream {
  constructor(readonly stream: Stream, readonly tap: TlsTap) {}

  take(handler: StreamHandler): void {
    this.stream.take({
      data: (chunk) => {
        this.tap.received(chunk);
        handler.data?.(chunk);
      },
      end: (cut) => handler.end?.(cut),
      drain: () => handler.drain?.(),
      close: (error) => handler.close?.(error),
    });
  }

  write(chunk: Uint8Array, spent?: boolean): boolean {
    this.tap.sent(chunk);
    return this.stream.write(chunk, spent);
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  end(): void {
    this.stream.end();
  }

  close(): void {
    this.stream.close();
  }

  destroy(): void {
    this.stream.destroy();
  }
}
