/** Between accept and admission: finds out who the client is if a proxy may be in between
 *  (--proxy-from).
 *
 *  A connection from a listed address must begin with a PROXY header. Afterwards the client that
 *  the header names counts as the peer: for limits, rules, names, environment and log. A
 *  connection from any other address is a direct client, and is refused if it sends such a
 *  header: only a listed proxy can choose an address. The server never guesses whether there is
 *  a header (proxy-protocol.txt, chapter 2): the address alone decides. */

import { concat, DecodeError, hex } from "../codec/bytes.ts";
import { formatIp, inNetwork, type Ip, type Network, parseIp, unmapIp } from "../codec/ip.ts";
import type { DecodedProxy, ProxyHeader } from "../codec/proxy/header.ts";
import { beginsLikeProxy, decodeProxy } from "../codec/proxy/proxy.ts";
import { escapeText } from "../codec/x509/names.ts";
import type { ConnectionVariable } from "../config/variables.ts";
import type { Connection } from "../connection.ts";
import { ConnectionError, type Reason, reasonOf, sentNothing } from "../reason.ts";
import type { Socket } from "../runtime/runtime.ts";
import { Owned, type Stream } from "../runtime/stream.ts";
import { firstBytes } from "./first_bytes.ts";

const NOTHING = new Uint8Array(0);

/** Characters of the longest variable from a TLV. Some of these texts come from the proxy's
 *  client. */
const MAX_VALUE = 300;

export interface ProxyOptions {
  /** --proxy-from; undefined: no address is listed, and no header is looked for. */
  proxyFrom: readonly Network[] | undefined;
  /** -T, in seconds; 0: no limit. */
  handshakeTimeout: number;
}

/** Reads the header of a connection from a listed proxy, and makes the client that it names the
 *  peer. Resolves with the bytes that followed the header; undefined if the address is not
 *  listed. Rejects with `ConnectionError`. */
export async function readProxyHeader(
  conn: Connection,
  { proxyFrom, handshakeTimeout }: ProxyOptions,
): Promise<Uint8Array | undefined> {
  if (!proxyFrom) return undefined;
  const address = parseIp(conn.remote.ip);
  if (!proxyFrom.some((network) => inNetwork(address, network))) return undefined;
  const late = (): void => conn.giveUp({ kind: "timed out", seconds: handshakeTimeout });
  const timer = handshakeTimeout > 0 ? setTimeout(late, handshakeTimeout * 1000) : undefined;
  conn.awaitsHeader = true;
  try {
    let decoded: DecodedProxy | undefined;
    const bytes = await firstBytes(conn, (bytes) => {
      decoded = decodeProxy(bytes);
      return decoded !== undefined;
    });
    const { header, length } = decoded as DecodedProxy;
    applyHeader(conn, header);
    return conn.earlyBytes = bytes.subarray(length);
  } catch (error) {
    const cause: Reason = error instanceof DecodeError
      ? { kind: "malformed", text: error.message }
      : reasonOf(error);
    if (sentNothing(cause)) throw error;
    throw new ConnectionError({ kind: "proxy header", cause });
  } finally {
    conn.awaitsHeader = false;
    clearTimeout(timer);
  }
}

/** Replaces the addresses of the connection by those in the header. LOCAL and UNKNOWN change
 *  nothing. */
function applyHeader(conn: Connection, { ends, extras }: ProxyHeader): void {
  const variables = new Map<ConnectionVariable, string>();
  const set = (name: ConnectionVariable, value: string | undefined): void => {
    if (value !== undefined) variables.set(name, escapeText(value).slice(0, MAX_VALUE));
  };
  const { authority, alpn, uniqueId, tls } = extras;
  const { ip, port } = conn.remote;
  set("PROXY_IP", ip);
  set("PROXY_PORT", String(port));
  set("PROXY_AUTHORITY", authority);
  set("PROXY_ALPN", alpn);
  set("PROXY_UNIQUE_ID", uniqueId && hex(uniqueId));
  if (tls?.used) {
    const certificate = tls.certificateNow || tls.certificateBefore;
    set("PROXY_TLS_VERSION", tls.version);
    set("PROXY_TLS_CIPHER", tls.cipher);
    set("PROXY_TLS_CLIENT_CN", tls.commonName);
    set(
      "PROXY_TLS_CLIENT_VERIFY",
      !certificate ? "NONE" : tls.verify === 0 ? "SUCCESS" : `FAILED:${tls.verify}`,
    );
  }
  const text = (ip: Ip): string => formatIp(unmapIp(ip));
  const client = ends && { ip: text(ends.source.ip), port: ends.source.port };
  // HAProxy's health checks: LOCAL in version 2, its own address and port in version 1.
  const own = !client || (client.ip === ip && client.port === port);
  conn.proxy = { ip, port, variables, own };
  if (!client) return;
  Object.assign(conn.remote, client);
  Object.assign(conn.local, { ip: text(ends.destination.ip), port: ends.destination.port });
  conn.interface = undefined; // only the proxy knows the interface of the client's packets
}

/** The plaintext phase of a UCSPI-TLS connection: `begin`, then the data of the socket. A PROXY
 *  header in it is an attempt to choose an address, which the program might believe. So the
 *  stream is closed and `refuse` is called. */
export class PlainStream extends Owned implements Stream {
  readonly #socket: Socket;
  readonly #refuse: (error: ConnectionError) => void;
  /** Data that may still become a header, or that the owner has not asked for yet. */
  #held: Uint8Array;
  #decided = false;
  #flowing = false;

  constructor(socket: Socket, begin: Uint8Array, refuse: (error: ConnectionError) => void) {
    super();
    this.#socket = socket;
    this.#held = begin;
    this.#refuse = refuse;
    socket.take({
      data: (chunk) => this.#received(chunk),
      end: () => {
        this.#release();
        this.owner.end?.();
      },
      drain: () => this.owner.drain?.(),
      close: (error) => this.tellClosed(error),
    });
  }

  pause(): void {
    this.#flowing = false;
    this.#socket.pause();
  }

  resume(): void {
    this.#flowing = true;
    if (this.#decided || this.#held.length === 0) return this.#socket.resume();
    setImmediate(() => { // `resume()` must not call back before it returns
      if (!this.#flowing) return;
      this.#decide();
      if (this.#flowing) this.#socket.resume();
    });
  }

  write(chunk: Uint8Array, spent?: boolean): boolean {
    return this.#socket.write(chunk, spent);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.close();
  }

  #received(chunk: Uint8Array): void {
    if (this.#decided) return this.owner.data?.(chunk);
    this.#held = concat([this.#held, chunk]);
    this.#decide();
  }

  #decide(): void {
    if (this.#decided || this.#held.length === 0) return;
    const match = beginsLikeProxy(this.#held);
    if (match === "no") return this.#release();
    if (match !== "yes") return;
    this.#decided = true;
    this.#held = NOTHING;
    const error = new ConnectionError(UNEXPECTED);
    this.#refuse(error);
    this.#socket.destroy();
    this.tellClosed(error);
  }

  #release(): void {
    this.#decided = true;
    const chunk = this.#held;
    this.#held = NOTHING;
    if (chunk.length > 0) this.owner.data?.(chunk);
  }
}

const UNEXPECTED: Reason = { kind: "unexpected proxy header" };

/** True if a proxy only checked that the server listens, and disconnected. This is not an error,
 *  and not worth a log line every two seconds. */
export function isHealthCheck({ proxy }: Connection, reason: Reason): boolean {
  return proxy?.own === true && sentNothing(reason);
}

/** The reason to refuse `first` in place of a ClientHello if it is a PROXY header, else
 *  undefined. */
export function unexpectedHeader(first: Uint8Array): Reason | undefined {
  return beginsLikeProxy(first) === "yes" ? UNEXPECTED : undefined;
}
