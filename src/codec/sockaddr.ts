/** Encodes and decodes the kernel's socket addresses (struct sockaddr_in and sockaddr_in6).
 *  Pure: no I/O. On Linux they begin with a 16-bit family, on the BSDs and macOS with a length
 *  byte and an 8-bit family. Port and address are in network byte order; family and scope are in
 *  host byte order, which is little-endian on every supported machine. */

import { DecodeError } from "./bytes.ts";
import type { Ip } from "./ip.ts";

/** The layout: that of Linux or of macOS. */
export type SockaddrFlavour = "linux" | "darwin";

/** An address and a port. `scopeId` is the interface of a link-local IPv6 address, else 0. */
export interface SocketAddress {
  readonly ip: Ip;
  readonly port: number;
  readonly scopeId: number;
}

/** Bytes of the longer of the two structs. */
export const SOCKADDR_MAX = 28;
const SIZE = { v4: 16, v6: SOCKADDR_MAX };

/** AF_INET is 2 on every system; AF_INET6 differs. */
const AF_INET = 2;
const AF_INET6 = { linux: 10, darwin: 30 };

/** The family number of an address of `length` bytes (4 or 16). */
export function addressFamily(length: number, flavour: SockaddrFlavour): number {
  return length === 4 ? AF_INET : AF_INET6[flavour];
}

/** Returns the struct for bind(2). With an IPv4 address, `scopeId` is ignored. */
export function encodeSockaddr(
  address: SocketAddress,
  flavour: SockaddrFlavour,
): Uint8Array<ArrayBuffer> {
  const v4 = address.ip.length === 4;
  const bytes = new Uint8Array(v4 ? SIZE.v4 : SIZE.v6);
  const view = new DataView(bytes.buffer);
  const family = addressFamily(address.ip.length, flavour);
  if (flavour === "linux") view.setUint16(0, family, true);
  else bytes.set([bytes.length, family]);
  view.setUint16(2, address.port);
  bytes.set(address.ip, v4 ? 4 : 8);
  if (!v4) view.setUint32(24, address.scopeId, true);
  return bytes;
}

/** Decodes the struct that accept(2), getsockname(2) or getpeername(2) filled. Throws
 *  DecodeError for another family (such as that of a Unix socket) and for a struct that is too
 *  short for its family. */
export function decodeSockaddr(bytes: Uint8Array, flavour: SockaddrFlavour): SocketAddress {
  if (bytes.length < 2) throw new DecodeError("sockaddr: family: cut short at byte 0");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = flavour === "linux" ? view.getUint16(0, true) : view.getUint8(1);
  if (family !== AF_INET && family !== AF_INET6[flavour]) {
    throw new DecodeError(`sockaddr: family: ${family} is neither IPv4 nor IPv6 at byte 0`);
  }
  const v4 = family === AF_INET;
  if (bytes.length < (v4 ? SIZE.v4 : SIZE.v6)) {
    throw new DecodeError(`sockaddr: address: cut short at byte ${bytes.length}`);
  }
  return {
    port: view.getUint16(2),
    ip: v4 ? bytes.slice(4, 8) : bytes.slice(8, 24),
    scopeId: v4 ? 0 : view.getUint32(24, true),
  };
}
