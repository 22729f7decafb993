/** Accepted TCP connections under Deno: from `Deno.listen`, or a descriptor accepted by libc. */

import { Socket as NetSocket } from "node:net";
import {
  type Address,
  HandshakeError,
  type Socket,
  type TlsContext,
  type TlsStream,
} from "./runtime.ts";
import type { Endpoint, Libc } from "./libc.ts";
import { HIGH_WATER, type Wire, WireStream } from "./deno_stream.ts";
import { type Handshake, startServerTls } from "./deno_tls.ts";
import type { ContextParts } from "./deno_context.ts";

/** `::ffff:192.0.2.7`, as a dual-stack socket shows an IPv4 peer, becomes `192.0.2.7`. */
export function plainAddress(ip: string, port: number): Address {
  return { ip: ip.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, ""), port };
}

/** A connection accepted by `Deno.listen`. */
export class ConnSocket extends WireStream implements Socket {
  readonly local: Address;
  readonly remote: Address;
  readonly fd = undefined;
  readonly #conn: Deno.TcpConn;
  #handshake: Handshake | undefined;

  constructor(conn: Deno.TcpConn) {
    super(wireOf(conn), { input: true, output: true });
    this.#conn = conn;
    this.local = plainAddress(conn.localAddr.hostname, conn.localAddr.port);
    this.remote = plainAddress(conn.remoteAddr.hostname, conn.remoteAddr.port);
  }

  setNoDelay(on: boolean): void {
    try {
      this.#conn.setNoDelay(on);
    } catch {
      // The peer has gone already: the next read says so.
    }
  }

  unacknowledged(): undefined {
    return undefined; // asks for the descriptor, which Deno does not tell
  }

  startTls(context: TlsContext, first: Uint8Array): Promise<TlsStream> {
    if (this.gone) return Promise.reject(new HandshakeError("connection closed"));
    this.#handshake = startServerTls(this, context.opaque as ContextParts, first);
    return this.#handshake.done;
  }

  override destroy(): void {
    super.destroy();
    this.#handshake?.abort();
  }
}

function wireOf(conn: Deno.TcpConn): Wire {
  return {
    async read(size) {
      const buffer = new Uint8Array(size);
      const count = await conn.read(buffer);
      return count === null ? null : buffer.subarray(0, count);
    },
    write: (chunk) => conn.write(chunk),
    closeWrite: () => conn.closeWrite(),
    close: () => conn.close(),
  };
}

const nothing = () => {};

/** A connection accepted by libc. `node:net` adopts the descriptor: it stops reading when paused,
 *  as long as no TLS is made of it directly. */
export class NodeSocket implements Socket {
  onData: (chunk: Uint8Array) => void = nothing;
  onEnd: () => void = nothing;
  onClose: (error?: Error) => void = nothing;
  onDrain: () => void = nothing;

  readonly local: Address;
  readonly remote: Address;
  declare readonly scopeId?: number;
  readonly fd: number;
  readonly #libc: Libc;
  readonly #socket: NetSocket;
  #full = false;
  #gone = false;
  #error: Error | undefined;
  #handshake: Handshake | undefined;

  get gone(): boolean {
    return this.#gone;
  }

  constructor(libc: Libc, accepted: { fd: number; peer: Endpoint }) {
    const { fd, peer } = accepted;
    const here = libc.getsockname(fd);
    this.local = plainAddress(here.ip, here.port);
    this.remote = plainAddress(peer.ip, peer.port);
    if (peer.scopeId !== undefined) this.scopeId = peer.scopeId;
    this.fd = fd;
    this.#libc = libc;
    const socket = this.#socket = new NetSocket({ fd, allowHalfOpen: true });
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => this.onData(chunk));
    socket.on("end", () => this.#ended());
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => this.#error ??= error);
    socket.on("close", () => this.#closed());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#gone) this.#socket.resume();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#gone || this.#socket.writableEnded || chunk.length === 0) return true;
    this.#socket.write(chunk);
    this.#full ||= this.#socket.writableLength >= HIGH_WATER;
    return !this.#full;
  }

  end(): void {
    if (!this.#gone) this.#socket.end();
  }

  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#handshake?.abort();
  }

  setNoDelay(on: boolean): void {
    if (this.#socket.destroyed) return;
    try {
      this.#libc.setNoDelay(this.fd, on);
    } catch {
      // The peer has gone already: the next read says so.
    }
  }

  unacknowledged(): number | undefined {
    return this.#socket.destroyed ? undefined : this.#libc.outputQueue(this.fd);
  }

  startTls(context: TlsContext, first: Uint8Array): Promise<TlsStream> {
    if (this.#gone) return Promise.reject(new HandshakeError("connection closed"));
    this.#handshake = startServerTls(this, context.opaque as ContextParts, first);
    return this.#handshake.done;
  }

  #drained(): void {
    if (this.#gone || !this.#full) return;
    this.#full = false;
    this.onDrain();
  }

  #ended(): void {
    if (!this.#gone) this.onEnd();
  }

  #closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.onClose(this.#error);
  }
}
