/** Deno's native TLS handle, which `node:tls` wraps in three streams for each connection. It serves
 *  contexts that ask for no client certificate. The names are those of Node's internals. If a version
 *  of Deno lacks one, tls.ts uses a `TLSSocket`. */

import type * as tls from "node:tls";
import { handles } from "./handle.ts";

/** A TLS connection without a socket. Methods call the handlers before they return. */
export interface NativeTls {
  /** 0: the certificate and the key are good. */
  initServerTls(context: object): number;
  /** The connection's bytes come by `readBuffer`, and leave by `drainEncOut`. */
  attachJsStream(): number;
  /** `self` gets the events. It stays in memory until `destroySsl`. */
  setHandle(self: NativeTls): void;
  setAlpnProtocols(names: readonly string[]): void;
  start(): number;
  readStart(): number;
  /** Takes bytes of the peer. An empty chunk makes the library go on with what it could not take
   *  before. */
  readBuffer(chunk: Uint8Array): void;
  /** Encrypts a copy of the chunk. The library takes 48 KB; more is taken by `readBuffer`. */
  writeBuffer(request: object, chunk: Uint8Array): number;
  /** Returns the bytes for the peer; none if there are none. */
  drainEncOut(): Uint8Array;
  /** Sends close_notify. */
  shutdown(request: object): number;
  /** Frees the connection. */
  destroySsl(): void;
  getProtocol(result: { protocol?: string }): number;
  getCipher(result: { name?: string }): number;
  getAlpnNegotiatedProtocol(result: { alpnProtocol?: string | false }): number;
  getServername(): string | null;
  isSessionReused(): boolean;
  /** Data, or undefined for close_notify. */
  onread?: (this: NativeTls, bytes: ArrayBuffer | undefined) => void;
  onhandshakedone?: (this: NativeTls) => void;
  onerror?: (this: NativeTls, error: Error) => void;
}

/** What makes TLS handles for one context. */
export interface NativeContext {
  readonly Handle: new (server: 1, unused: 0) => NativeTls;
  readonly settings: object;
}

const METHODS: readonly (keyof NativeTls)[] = [
  "initServerTls",
  "attachJsStream",
  "setHandle",
  "setAlpnProtocols",
  "start",
  "readStart",
  "readBuffer",
  "writeBuffer",
  "drainEncOut",
  "shutdown",
  "destroySsl",
  "getProtocol",
  "getCipher",
  "getAlpnNegotiatedProtocol",
  "getServername",
  "isSessionReused",
];

/** Takes the class from a socket made with the context. Undefined if it lacks a method. */
export function nativeContext(
  socket: tls.TLSSocket,
  secure: tls.SecureContext,
): NativeContext | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: object };
  if (!handle || METHODS.some((method) => !(method in handle)) || !hasHandles()) return undefined;
  return {
    Handle: handle.constructor as NativeContext["Handle"],
    settings: { ...secure.context as object, requestCert: false, rejectUnauthorized: true },
  };
}

function hasHandles(): boolean {
  try {
    return handles() !== undefined;
  } catch {
    return false;
  }
}
