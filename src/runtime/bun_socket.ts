/** Bun's native sockets as `Socket` and `TlsStream`: queueing of what a partial write left over,
 *  half-close, and TLS on an accepted connection with the bytes already read.
 *  `node:net` and `node:tls` sit on the same native sockets and cost twice the memory. */

import type { NativeSocket, NativeTlsSocket, PeerCertificate, SocketHandler } from "./bun_types.ts";
import { sessionId } from "../codec/ssl_session.ts";
import type { Libc } from "./libc.ts";
import {
  type Address,
  HandshakeError,
  type Socket,
  type TlsContext,
  type TlsSession,
  type TlsStream,
} from "./runtime.ts";

const nothing = (): void => {};

/** Certificates of a client's chain that are looked at; BoringSSL's own limit is 100 KB in all. */
const MAX_CHAIN = 10;

/** What `upgradeTLS` is told. */
export interface BunTlsOptions extends Record<string, unknown> {
  /** BoringSSL sends the alert to who has no certificate. On whom `ca` does not vouch for Bun closes
   *  too, but only after the handshake's callback, and without a word. */
  readonly rejectUnauthorized: boolean;
}

/** A native socket, plain or TLS, behind the stream interface. */
class BunStream {
  onData: (chunk: Uint8Array) => void = nothing;
  onEnd: () => void = nothing;
  onDrain: () => void = nothing;
  onClose: (error?: Error) => void = nothing;

  #queue: Uint8Array[] | undefined;
  /** What came while paused, "end" at the end: a native TLS socket goes on delivering what it has
   *  decrypted, and a stream may wait long for its turn. */
  #held: (Uint8Array | "end")[] | undefined;
  #paused = true;
  #ending = false;
  #gone = false;
  protected failure: Error | undefined;

  constructor(protected native: NativeSocket<BunStream>) {}

  get gone(): boolean {
    return this.#gone;
  }

  pause(): void {
    this.#paused = true;
    if (!this.#gone) this.native.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#gone) return;
    if (this.#held) queueMicrotask(this.#release);
    else this.native.resume();
  }

  /** Native event: bytes. */
  received(bytes: Uint8Array): void {
    if (!this.#paused && !this.#held) this.onData(bytes);
    else if (!this.#gone) (this.#held ??= []).push(bytes);
  }

  /** Native event: the peer's end of data. */
  ended(): void {
    if (!this.#paused && !this.#held) this.onEnd();
    else if (!this.#gone) (this.#held ??= []).push("end");
  }

  readonly #release = (): void => {
    while (this.#held && !this.#paused && !this.#gone) {
      const next = this.#held.shift();
      if (this.#held.length === 0) this.#held = undefined;
      if (next === "end") this.onEnd();
      else if (next) this.onData(next);
    }
    if (!this.#held && !this.#paused && !this.#gone) this.native.resume();
  };

  write(chunk: Uint8Array): boolean {
    if (this.#gone || this.#ending) return true;
    if (this.#queue) {
      this.#queue.push(chunk);
      return false;
    }
    const taken = this.native.write(chunk);
    if (taken < 0 || taken >= chunk.length) return true;
    this.#queue = [taken > 0 ? chunk.subarray(taken) : chunk];
    return false;
  }

  end(): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    if (!this.#queue) this.native.shutdown();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue = this.#held = undefined;
    this.hangUp();
  }

  /** A reset: who has TLS must not take the end for an orderly one. */
  protected hangUp(): void {
    this.native.terminate();
  }

  /** Native event: room again. Writes on from the queue. */
  drained(): void {
    const queue = this.#queue;
    if (this.#gone || !queue) return;
    while (queue.length > 0) {
      const chunk = queue[0] as Uint8Array;
      const taken = this.native.write(chunk);
      if (taken < 0) break;
      if (taken < chunk.length) {
        if (taken > 0) queue[0] = chunk.subarray(taken);
        return;
      }
      queue.shift();
    }
    this.#queue = undefined;
    if (this.#ending) this.native.shutdown();
    else this.onDrain();
  }

  failed(error: Error): void {
    this.failure ??= error;
  }

  closed(error?: Error): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue = this.#held = undefined;
    this.onClose(error ?? this.failure);
  }
}

/** A TLS connection; `settle` ends the handshake's promise. */
class BunTlsStream extends BunStream implements TlsStream {
  settle: ((error?: Error) => void) | undefined;

  /** `required`: of `TlsSettings.requestCertificate`. */
  constructor(native: NativeSocket<BunStream>, readonly required: boolean) {
    super(native);
  }

  attach(native: NativeTlsSocket<BunStream>): void {
    this.native = native;
  }

  override closed(error?: Error): void {
    const settle = this.settle;
    this.settle = undefined;
    settle?.(handshakeError(error ?? this.failure));
    super.closed(error);
  }

  override destroy(): void {
    super.destroy();
    const settle = this.settle;
    this.settle = undefined;
    settle?.(new HandshakeError("given up"));
  }

  suite(): { protocol: string; cipher: string } {
    const tls = this.native as NativeTlsSocket<BunStream>;
    return { protocol: tls.getTLSVersion(), cipher: tls.getCipher().name ?? "" };
  }

  session(): TlsSession {
    const tls = this.native as NativeTlsSocket<BunStream>;
    const serverName = tls.getServername();
    const alpn = tls.alpnProtocol;
    const peerCertificates = chainOf(tls.getPeerCertificate(false));
    const error = peerCertificates.length > 0 ? tls.getAuthorizationError() : null;
    const session = tls.getSession();
    const id = session ? sessionId(session) : undefined;
    return {
      ...this.suite(),
      reused: tls.isSessionReused(),
      peerCertificates,
      ...(id ? { id } : {}),
      ...(serverName ? { serverName } : {}),
      ...(alpn ? { alpn } : {}),
      ...(error ? { verifyError: error.message } : {}),
      ...(error && this.required ? { refused: true } : {}),
    };
  }
}

/** An accepted connection. After `startTls` the native plain socket goes on telling about the
 *  ciphertext; then `tls` is set and the plain side stays silent. */
class BunSocket extends BunStream implements Socket {
  readonly local: Address;
  readonly remote: Address;
  #tls: BunTlsStream | undefined;

  constructor(native: NativeSocket<BunStream>, readonly libc: Libc) {
    super(native);
    this.local = { ip: unmapped(native.localAddress), port: native.localPort };
    this.remote = { ip: unmapped(native.remoteAddress), port: native.remotePort };
  }

  get fd(): number {
    return this.native.fd;
  }

  setNoDelay(on: boolean): void {
    this.native.setNoDelay(on);
  }

  unacknowledged(): number | undefined {
    const fd = this.native.fd;
    return fd >= 0 ? this.libc.outputQueue(fd) : undefined;
  }

  startTls(context: TlsContext, first: Uint8Array): Promise<TlsStream> {
    return new Promise((resolve, reject) => {
      if (this.gone) return reject(new HandshakeError("connection closed by the peer"));
      const options = context.opaque as BunTlsOptions;
      const stream = new BunTlsStream(this.native, options.rejectUnauthorized);
      stream.settle = (error) => error ? reject(error) : resolve(stream);
      this.#tls = stream;
      this.onData = this.onEnd = this.onDrain = nothing;
      const pair = this.native.upgradeTLS<BunStream>({
        data: stream,
        tls: options,
        initialData: first,
        isServer: true,
        socket: tlsHandler,
      });
      if (!pair) {
        this.destroy();
        reject(new HandshakeError("connection closed by the peer"));
        return;
      }
      stream.attach(pair[1]);
      pair[1].resume();
    });
  }

  override destroy(): void {
    if (this.#tls) this.#tls.destroy();
    else super.destroy();
  }

  /** FIN: a client that is denied shall see the end, as under tcpserver, and no failure. */
  protected override hangUp(): void {
    this.native.close();
  }

  override received(bytes: Uint8Array): void {
    if (!this.#tls) super.received(bytes);
  }

  override ended(): void {
    if (!this.#tls) super.ended();
  }

  override closed(error?: Error): void {
    if (!this.#tls) super.closed(error);
  }
}

function handshakeError(error: Error | undefined): HandshakeError {
  if (error instanceof HandshakeError) return error;
  return new HandshakeError(`connection ${error ? "reset" : "closed"} by the peer`);
}

/** The handlers are shared by all connections: one object each, no closure per connection. */
const plainHandler: SocketHandler<BunStream> = {
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drained(),
  end: (socket) => socket.data.ended(),
  // A connection that was reset before it was accepted has no data yet.
  error: (socket, error) => (socket.data as BunStream | undefined)?.failed(error),
  close: (socket, error) => (socket.data as BunStream | undefined)?.closed(error),
};

const tlsHandler: SocketHandler<BunStream> = {
  ...plainHandler,
  handshake(socket, ok, error) {
    const stream = socket.data as BunTlsStream;
    const settle = stream.settle;
    if (!settle) return;
    if (ok) {
      stream.settle = undefined;
      socket.pause();
      settle();
    } else {
      stream.failed(new HandshakeError(wording(error)));
    }
  },
};

/** The handlers of a listener; `accept` gets each connection, paused. */
export function listenHandler(
  libc: Libc,
  accept: (socket: Socket) => void,
): SocketHandler<BunStream> {
  return {
    ...plainHandler,
    open(native) {
      const socket = new BunSocket(native, libc);
      native.data = socket;
      accept(socket);
    },
  };
}

/** `error:10000133:SSL routines:OPENSSL_internal:NO_APPLICATION_PROTOCOL` → `no application protocol` */
function wording(error: Error | null): string {
  if (!error) return "handshake failed";
  if ((error as { code?: string }).code === "ECONNRESET") return "connection closed by the peer";
  const last = error.message.split(":").at(-1) ?? error.message;
  return last.replaceAll("_", " ").trim().toLowerCase();
}

/** IPv4 clients of a dual-stack socket are shown as IPv4 (RFC 4291 2.5.5.2). */
function unmapped(ip: string): string {
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}

function chainOf(first: PeerCertificate | undefined): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = first;
  while (certificate?.raw && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer = certificate.issuerCertificate;
    if (issuer === certificate) break;
    certificate = issuer;
  }
  return chain;
}
