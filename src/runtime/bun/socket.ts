/** Connections on Bun, and the start of TLS on them with the bytes already read. `node:net` and
 *  `node:tls` use the same native sockets and need twice the memory. */

import { concat } from "../../codec/bytes.ts";
import { NO_HANDLER, type Stream } from "../stream.ts";
import { BunStream, plainHandler } from "./stream.ts";
import { type BunTlsOptions, BunTlsStream, clientTlsHandler, tlsHandler } from "./tls.ts";
import { connectionBegan, connectionEnded } from "./gc.ts";
import { bun, type NativeSocket, type SocketHandler } from "./types.ts";
import { CLOSED } from "../endings.ts";
import type { Libc } from "../libc/libc.ts";
import {
  type Address,
  type ClientSocket,
  HandshakeError,
  type Socket,
  type TlsContext,
  type TlsStream,
} from "../runtime.ts";

const NOTHING = new Uint8Array(0);

/** A connection. After `startTls` the native plain socket still delivers the ciphertext;
 *  `#tls` is set then, and the owner of this stream gets no more events. */
class BunSocket extends BunStream implements ClientSocket {
  readonly local: Address;
  readonly remote: Address;
  #tls: BunTlsStream | undefined;

  constructor(native: NativeSocket<BunStream>, readonly libc: Libc) {
    super(native);
    this.local = { ip: unmapped(native.localAddress), port: native.localPort };
    this.remote = { ip: unmapped(native.remoteAddress ?? ""), port: native.remotePort };
  }

  get fd(): number {
    return this.native.fd;
  }

  /** Asked of libc, because Bun's address lacks it. */
  get scopeId(): number | undefined {
    if (!/^fe[89ab]/i.test(this.remote.ip)) return undefined;
    try {
      return this.libc.getpeername(this.native.fd).scopeId;
    } catch {
      return undefined; // the peer has gone; an event follows
    }
  }

  setNoDelay(on: boolean): void {
    if (!on) this.native.setNoDelay(false); // Bun has set it
  }

  unacknowledged(): number | undefined {
    const fd = this.native.fd;
    return fd >= 0 ? this.libc.outputQueue(fd) : undefined;
  }

  unread(): Uint8Array {
    const { fd } = this.native;
    if (this.gone || fd < 0) return NOTHING;
    try {
      return concat([...this.heldBytes(), this.libc.peek(fd)]);
    } catch {
      return NOTHING; // the peer has gone; an event follows
    }
  }

  startTls(context: TlsContext, first: Uint8Array): Promise<TlsStream> {
    return this.#upgrade(context.opaque as BunTlsOptions, first, { isServer: true });
  }

  startClientTls(context: TlsContext, serverName: string | undefined): Promise<TlsStream> {
    const named = serverName === undefined ? {} : { serverName };
    return this.#upgrade({ ...context.opaque as BunTlsOptions, ...named }, NOTHING, {});
  }

  #upgrade(
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
        socket: isServer ? tlsHandler : clientTlsHandler,
      });
      if (!pair) {
        this.destroy();
        reject(new HandshakeError(CLOSED));
        return;
      }
      this.native = pair[0]; // the native socket from before is no longer valid
      stream.attach(pair[1]);
      pair[1].resume();
      // TLS has not seen the end of data. Its result for the bytes before comes first.
      if (ended) setImmediate(() => stream.breakOff());
    });
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
    if (this.#tls) this.#tls.ciphertext(bytes);
    else super.received(bytes);
  }

  override ended(): void {
    if (!this.#tls) super.ended();
  }

  override closed(error?: Error): void {
    if (!this.#tls) super.closed(error);
  }
}

/** The handlers of a listener. `accept` gets each connection, paused; `lost` is called for one that
 *  was reset before. */
export function listenHandler(
  libc: Libc,
  accept: (socket: Socket) => void,
  lost: () => void,
): SocketHandler<BunStream> {
  return {
    ...plainHandler,
    open(native) {
      connectionBegan();
      // The peer has reset the connection, so its address is not known any more.
      if (native.remoteAddress === undefined) {
        native.terminate();
        return lost();
      }
      const socket = new BunSocket(native, libc);
      native.data = socket;
      accept(socket);
      socket.stopSoon();
    },
    close(native, error) { // once for each connection, also when we close it
      connectionEnded();
      plainHandler.close?.(native, error);
    },
  };
}

/** See `Runtime.adoptSocket`. */
export function adoptSocket(fd: number): Promise<Stream> {
  return adopt(fd, (native) => new BunStream(native));
}

/** A connection that libc has made. Owns the descriptor. Starts paused. */
export function adoptConnection(libc: Libc, fd: number): Promise<ClientSocket> {
  return adopt(fd, (native) => {
    const socket = new BunSocket(native, libc);
    socket.stopSoon();
    return socket;
  });
}

async function adopt<S extends BunStream>(
  fd: number,
  make: (native: NativeSocket<BunStream>) => S,
): Promise<S> {
  let stream: S | undefined;
  await bun.connect<BunStream>({
    fd,
    data: undefined as unknown as BunStream,
    allowHalfOpen: true,
    socket: {
      ...plainHandler,
      open(native) {
        stream = make(native);
        native.data = stream;
      },
    },
  });
  if (!stream) throw new Error("unable to take a socket over");
  return stream;
}

/** IPv4 clients of a dual-stack socket are shown as IPv4 (RFC 4291 2.5.5.2). */
function unmapped(ip: string): string {
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}
