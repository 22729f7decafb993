/** Connections on Bun, and the start of TLS on them with the bytes already read. `node:net` and
 *  `node:tls` use the same native sockets and need twice the memory. */

import { concat } from "../../codec/bytes.ts";
import { NO_HANDLER, type Stream } from "../stream.ts";
import { TappedStream, type TlsTap } from "../tap.ts";
import { BunTlsCarrier } from "./carrier.ts";
import { join } from "./join.ts";
import { BunStream, plainHandler } from "./stream.ts";
import type { BunTlsOptions } from "./tls.ts";
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

/** Milliseconds for the last bytes of a tapped connection. */
const LAST_BYTES = 1000;

/** A connection. */
class BunSocket extends BunTlsCarrier implements ClientSocket {
  readonly local: Address;
  readonly remote: Address;
  /** The socket that carries TLS in place of this one if there is a tap. */
  #carrier: BunTlsCarrier | undefined;

  constructor(native: NativeSocket<BunStream>, libc: Libc) {
    super(native, libc);
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

  startTls(context: TlsContext, first: Uint8Array, tap?: TlsTap): Promise<TlsStream> {
    const options = context.opaque as BunTlsOptions;
    if (tap) return this.#startTapped(options, first, tap);
    return this.upgrade(options, first, { isServer: true });
  }

  startClientTls(context: TlsContext, serverName: string | undefined): Promise<TlsStream> {
    const named = serverName === undefined ? {} : { serverName };
    return this.upgrade({ ...context.opaque as BunTlsOptions, ...named }, NOTHING, {});
  }

  /** See join.ts. */
  async #startTapped(options: BunTlsOptions, first: Uint8Array, tap: TlsTap): Promise<TlsStream> {
    if (this.gone) throw new HandshakeError(CLOSED);
    this.take(NO_HANDLER);
    const [near, far] = this.libc.socketpair("stream");
    const carrier = await adopt(near, (native) => new BunTlsCarrier(native, this.libc));
    const plain = await adopt(far, (native) => new BunStream(native));
    if (this.gone) {
      carrier.destroy();
      plain.destroy();
      throw new HandshakeError(CLOSED);
    }
    this.#carrier = carrier;
    const done = carrier.upgrade(options, first, { isServer: true });
    join(new TappedStream(this, tap), plain, (error) => carrier.lose(error));
    return await done;
  }

  override destroy(): void {
    if (!this.#carrier) return super.destroy();
    this.#carrier.destroy();
    // The last bytes of TLS, such as an alert, are still on their way through the pair: join.ts closes
    // the connection behind them.
    setTimeout(() => super.destroy(), LAST_BYTES);
  }

  override abort(): void {
    if (!this.#carrier) return super.abort();
    this.#carrier.abort();
    super.destroy();
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
