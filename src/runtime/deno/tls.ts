/** The TLS handshake, over any stream of this folder. A server that asks for no client certificate
 *  uses Deno's native handle (direct_tls.ts). All others use `node:tls` (rustls in Deno), and
 *  tls_stream.ts is the connection after their handshake. */

import * as tls from "node:tls";
import { refusal } from "./words.ts";
import { CLOSED, GIVEN_UP, lost } from "../endings.ts";
import type { StreamReason } from "../../reason.ts";
import { HandshakeError, type TlsStream } from "../runtime.ts";
import type { Stream } from "../stream.ts";
import { type ContextParts, namingOnly } from "./context.ts";
import { DirectTls } from "./direct_tls.ts";
import { captureErrors, direct, type EncryptedSide, encryptedSide, linger } from "./tls_link.ts";
import { DenoTlsStream } from "./tls_stream.ts";

/** A handshake under way. */
export interface Handshake {
  readonly done: Promise<TlsStream>;
  /** Set when the handshake is done. */
  readonly stream: TlsStream & { abort(): void } | undefined;
  /** To be called after the raw stream was destroyed. Does nothing when the handshake is over. */
  stop(): void;
}

/** Begins TLS on `raw`, which belongs to the result from then on. `first` was read before. */
export function startServerTls(raw: Stream, context: ContextParts, first: Uint8Array): Handshake {
  const { native, alpn } = context;
  if (native) return new DirectTls(raw, native).begin(native, alpn, first);
  const link = encryptedSide(raw);
  const socket = new tls.TLSSocket(link.duplex, {
    ...common(context),
    isServer: true,
    secureContext: context.requestCertificate ? namingOnly(context.secure) : context.secure,
    requestCert: context.requestCertificate,
    rejectUnauthorized: context.requireCertificate,
  });
  return handshake(socket, link, first);
}

/** Begins TLS on `raw` as the client. See `ClientSocket.startClientTls`. Even without
 *  `rejectUnauthorized`, rustls verifies the signature that proves that the server has its key. */
export function startClientTls(
  raw: Stream,
  context: ContextParts,
  serverName: string | undefined,
): Handshake {
  const link = encryptedSide(raw);
  const socket = tls.connect({
    ...common(context),
    socket: link.duplex,
    secureContext: context.secure,
    rejectUnauthorized: false,
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  return handshake(socket, link, new Uint8Array(0));
}

function common({ alpn }: ContextParts) {
  return {
    // Deno 2.9.6 loses a close_notify that comes with the last bytes if the buffer was full.
    // tls_link.ts limits the buffer to what one or two reads bring, so it is never full with this
    // mark.
    highWaterMark: RAW_HIGH_WATER,
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
  };
}

function handshake(socket: tls.TLSSocket, link: EncryptedSide, first: Uint8Array): Handshake {
  const { promise, resolve, reject } = Promise.withResolvers<TlsStream>();
  const { raw } = link;
  let stream: DenoTlsStream | undefined;
  captureErrors(socket, link);
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
    const made = stream = new DenoTlsStream(socket, link);
    socket.off("error", onError).off("close", onClose);
    resolve(made);
    if (rawEnded) queueMicrotask(() => made.rawEnded());
  });

  // The library's result for earlier bytes comes first. If that ends the handshake, `fail` does
  // nothing, and the new stream handles the end of the raw one.
  const rawOver = (cause: StreamReason, closed: boolean) => {
    setImmediate(() => fail(link.error ? refusal(link.error, begin) : cause, closed));
  };
  let rawEnded = false;
  raw.take({
    data(chunk) {
      if (begin.length === 0) begin = beginning(chunk);
      link.feed(chunk);
    },
    end() {
      rawEnded = true;
      rawOver(CLOSED, false);
    },
    drain() {
      link.full = false;
    },
    close(error) {
      rawOver(error ? lost(error) : CLOSED, true);
    },
  });
  // The socket starts in the next tick. If it got bytes before that and refused them, Deno 2.9.6
  // would use a handle that is gone, and throw an error that no code can catch.
  setImmediate(() => {
    if (over) return;
    if (first.length > 0) link.feed(first);
    raw.resume();
  });
  return {
    done: promise,
    get stream() {
      return stream;
    },
    stop: () => fail(GIVEN_UP, true),
  };
}

/** A copy of the first bytes: feeding a chunk to the library may free it. */
const beginning = (chunk: Uint8Array): Uint8Array => Uint8Array.from(chunk.subarray(0, 5));

/** More than is ever buffered, see `startServerTls`; in bytes. */
const RAW_HIGH_WATER = 1 << 20;
