/** TCP connections under Deno: from `Deno.listen` or `Deno.connect`, or a descriptor from libc. */

import {
  type Address,
  type ClientSocket,
  HandshakeError,
  type TlsContext,
  type TlsStream,
} from "../runtime.ts";
import { CLOSED } from "../endings.ts";
import { TappedStream, type TlsTap } from "../tap.ts";
import type { Libc, SocketEndpoint } from "../libc/libc.ts";
import { AdoptedStream } from "./adopted.ts";
import { type Wire, WireStream } from "./stream.ts";
import { type Handshake, startClientTls, startServerTls } from "./tls.ts";
import type { ContextParts } from "./context.ts";

const NOTHING = new Uint8Array(0);
const BOTH = { kind: "tcp", readable: true, writable: true } as const;

/** `::ffff:192.0.2.7`, as a dual-stack socket shows an IPv4 peer, becomes `192.0.2.7`. */
export function plainAddress(ip: string, port: number): Address {
  return { ip: ip.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, ""), port };
}

/** A connection from `Deno.listen` or `Deno.connect`. `count` is called when it begins and when it
 *  is closed. */
export class ConnSocket extends WireStream implements ClientSocket {
  readonly local: Address;
  readonly remote: Address;
  readonly fd = undefined;
  readonly #conn: Deno.TcpConn;
  #handshake: Handshake | undefined;

  constructor(conn: Deno.TcpConn, count: () => void) {
    super(wireOf(conn, count), { input: true, output: true });
    count();
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
    return undefined; // needs the descriptor, which Deno does not provide
  }

  unread(): Uint8Array {
    return NOTHING; // needs the descriptor, too
  }

  startTls(context: TlsContext, first: Uint8Array, tap?: TlsTap): Promise<TlsStream> {
    if (this.gone) return Promise.reject(new HandshakeError(CLOSED));
    const raw = tap ? new TappedStream(this, tap) : this;
    this.#handshake = startServerTls(raw, context.opaque as ContextParts, first);
    return this.#handshake.done;
  }

  startClientTls(context: TlsContext, serverName: string | undefined): Promise<TlsStream> {
    if (this.gone) return Promise.reject(new HandshakeError(CLOSED));
    this.#handshake = startClientTls(this, context.opaque as ContextParts, serverName);
    return this.#handshake.done;
  }

  override destroy(): void {
    super.destroy();
    this.#handshake?.stop();
  }

  override abort(): void {
    const tls = this.#handshake?.stream;
    if (tls) tls.abort();
    else super.abort();
  }
}

function wireOf(conn: Deno.TcpConn, count: () => void): Wire {
  return {
    async read(size) {
      const buffer = new Uint8Array(size);
      const count = await conn.read(buffer);
      return count === null ? null : buffer.subarray(0, count);
    },
    write: (chunk) => conn.write(chunk),
    closeWrite: () => conn.closeWrite(),
    close() {
      count();
      conn.close();
    },
  };
}

/** A connection from libc. `count`: see `ConnSocket`. */
export class NodeSocket extends AdoptedStream implements ClientSocket {
  readonly local: Address;
  readonly remote: Address;
  declare readonly scopeId?: number;
  readonly fd: number;
  readonly #libc: Libc;
  readonly #count: () => void;
  #handshake: Handshake | undefined;

  constructor(
    libc: Libc,
    accepted: { fd: number; peer: SocketEndpoint },
    count: () => void,
  ) {
    const { fd, peer } = accepted;
    const here = libc.getsockname(fd);
    super(fd, BOTH);
    this.local = plainAddress(here.ip, here.port);
    this.remote = plainAddress(peer.ip, peer.port);
    if (peer.scopeId !== undefined) this.scopeId = peer.scopeId;
    this.fd = fd;
    this.#libc = libc;
    this.#count = count;
    count();
  }

  override destroy(): void {
    if (this.gone) return;
    super.destroy();
    this.#handshake?.stop();
  }

  protected override release(): void {
    if (!this.gone) this.#count();
    super.release();
  }

  override abort(): void {
    const tls = this.#handshake?.stream;
    if (tls) tls.abort();
    else super.abort();
  }

  setNoDelay(on: boolean): void {
    if (this.gone) return;
    try {
      this.#libc.setNoDelay(this.fd, on);
    } catch {
      // The peer has gone already: the next read says so.
    }
  }

  unacknowledged(): number | undefined {
    return this.gone ? undefined : this.#libc.outputQueue(this.fd);
  }

  unread(): Uint8Array {
    if (this.gone) return NOTHING;
    try {
      return this.#libc.peek(this.fd);
    } catch {
      return NOTHING; // the peer has gone: the next read says so
    }
  }

  startTls(context: TlsContext, first: Uint8Array, tap?: TlsTap): Promise<TlsStream> {
    if (this.gone) return Promise.reject(new HandshakeError(CLOSED));
    const raw = tap ? new TappedStream(this, tap) : this;
    this.#handshake = startServerTls(raw, context.opaque as ContextParts, first);
    return this.#handshake.done;
  }

  startClientTls(context: TlsContext, serverName: string | undefined): Promise<TlsStream> {
    if (this.gone) return Promise.reject(new HandshakeError(CLOSED));
    this.#handshake = startClientTls(this, context.opaque as ContextParts, serverName);
    return this.#handshake.done;
  }
}
