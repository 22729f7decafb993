/** Streams and their owners, as the code above the adapters sees them. The adapters implement
 *  streams over sockets and pipes; program/ and accept/ implement them over other streams.
 *
 *  A stream has one owner at a time: `take` makes a handler the owner, and only that handler gets
 *  the events that follow. A handler is an object with methods: both runtimes use callbacks, and a
 *  method call needs no memory per chunk. A class that owns a stream is itself the handler, so a
 *  connection needs no closures.
 *
 *  Nothing is lost between two owners. Every stream starts paused, and a paused stream keeps its
 *  bytes and its end of data. Each new owner of a closed stream gets `close`. */

/** The owner of a stream. Events without a method are dropped. */
export interface StreamHandler {
  /** The next bytes. The callee may keep bytes of a socket. Bytes of a pipe are valid only until
   *  the callee returns: it must write them to a `Stream`, use them, or copy them. */
  data?(chunk: Uint8Array): void;
  /** The peer has ended its data (FIN, close_notify, end of pipe). At most once, after the last
   *  `data`; output still flows. `cut`: a TLS peer has sent FIN without close_notify. */
  end?(cut?: boolean): void;
  /** There is room again after a `write` that returned false. */
  drain?(): void;
  /** The stream is closed in both directions. Called once for each owner, with an error if the
   *  close was not orderly. Not called after `destroy()` or `close()`. */
  close?(error?: Error): void;
}

/** Methods that sources and sinks share. */
export interface Closable {
  /** Makes `handler` the owner in place of the previous one. If the stream is already closed,
   *  `handler` gets `close` in a microtask. */
  take(handler: StreamHandler): void;
  /** Closes both directions at once, drops buffered data and frees the descriptor. Idempotent. */
  destroy(): void;
}

/** A stream to read from. */
export interface Source extends Closable {
  /** After this returns, no `data` or `end` comes until `resume()`. At most a few hundred KB are
   *  buffered meanwhile; then the peer is stopped. */
  pause(): void;
  /** Calls no handler before it returns. */
  resume(): void;
}

/** A stream to write to. */
export interface Sink extends Closable {
  /** Accepts all of `chunk`. False: do not write more before `drain`. `spent`: the caller does not
   *  use the chunk after this turn of the event loop, so its memory may be freed once it is
   *  written. */
  write(chunk: Uint8Array, spent?: boolean): boolean;
  /** No more output: what is queued is written, then FIN, close_notify or end of pipe is sent.
   *  Input still flows. */
  end(): void;
}

/** A stream in both directions. `write` copies what it keeps, because a chunk of a pipe is valid
 *  only during the call (see `StreamHandler.data`). */
export interface Stream extends Source, Sink {
  /** Like `destroy()`, but the peer gets no reset. For a peer that has received everything, our end
   *  of data included. */
  close(): void;
}

/** Smallest chunk, in bytes, for which freeing saves more than it costs. */
const MIN_FREED = 16384;

/** Frees the memory of a chunk that is not used any more, without waiting for the garbage collector.
 *  The next chunk then gets the same memory, which is still in the processor's cache. On Deno, V8
 *  otherwise gathers 64 MB of such chunks, and under load it collects thirty times a second. Only a
 *  chunk that fills its whole buffer is freed. */
export function free(chunk: Uint8Array): void {
  if (chunk.byteLength < MIN_FREED) return; // before `buffer`, for which Bun makes an object
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0);
}

/** Drops all events. */
export const NO_HANDLER: StreamHandler = Object.freeze({});

/** Keeps the owner of a stream. Base class of all streams. */
export abstract class Owned implements Pick<Closable, "take"> {
  protected owner: StreamHandler = NO_HANDLER;
  /** Why the stream was closed; undefined if the close was orderly. */
  protected failure: Error | undefined;
  #closed = false;

  take(handler: StreamHandler): void {
    this.owner = handler;
    if (this.#closed) queueMicrotask(() => this.#notify(handler));
  }

  /** Tells the owner that the stream was closed, but not by the owner. */
  protected tellClosed(error?: Error): void {
    this.#closed = true;
    this.failure = error;
    this.owner.close?.(error);
  }

  #notify(handler: StreamHandler): void {
    if (this.owner === handler) handler.close?.(this.failure);
  }
}
