/** Socket addresses as the kernel wants them (struct sockaddr_in and sockaddr_in6). Pure: no I/O.
 *  Linux opens with a 16-bit family; the BSDs and macOS with a length byte and an 8-bit family.
 *  The port and the address are in network order, family and scope in the machine's, which is
 *  little-endian on every machine we have constants for. */

import { DecodeError } from "./bytes.ts";
import type { Ip } from "./ip.ts";

/** Which layout: of Linux, or of macOS. */
export type SockaddrFlavour = "linux" | "darwin";

/** An address with its port; `scopeId` is the interface of a link-local IPv6 one, else 0. */
export interface SocketAddress {
  readonly ip: Ip;
  readonly port: number;
  readonly scopeId: number;
}

/** Room for the longer of the two, in bytes. */
export const SOCKADDR_MAX = 28;
const SIZE = { v4: 16, v6: SOCKADDR_MAX };

/** AF_INET is 2 everywhere; AF_INET6 is not. */
const AF_INET = 2;
const AF_INET6 = { linux: 10, darwin: 30 };

/** The family number of an address of `length` bytes (4 or 16). */
export function addressFamily(length: number, flavour: SockaddrFlavour): number {
  return length === 4 ? AF_INET : AF_INET6[flavour];
}

/** The struct for bind(2). An IPv4 address has no scope: it is left out. */
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

/** The struct that accept(2), getsockname(2) or getpeername(2) filled. Throws DecodeError for any
 *  other family (a Unix socket) and for a struct that is too short for its family. */
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
