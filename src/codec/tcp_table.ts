/** Parses Linux's tables of TCP sockets, /proc/net/tcp and tcp6 (proc_pid_net(5)). Listening
 *  sockets come first in them. Pure: no I/O. */

import { DecodeError } from "./bytes.ts";
import { formatIp } from "./ip.ts";

/** A listening socket. */
export interface TcpListener {
  readonly ip: string;
  readonly port: number;
  /** Identifies the socket, whichever processes have descriptors of it. */
  readonly inode: number;
}

const LISTEN = "0A";

/** Returns the listening sockets in `text`, the beginning of a table. `more`: others may follow. */
export function tcpListeners(text: string): { listeners: TcpListener[]; more: boolean } {
  const listeners: TcpListener[] = [];
  const lines = text.split("\n");
  lines.pop(); // incomplete, or empty
  for (const line of lines.slice(1)) {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state !== LISTEN) return { listeners, more: false };
    const [address = "", port = ""] = local.split(":");
    listeners.push({ ip: ipOf(address), port: parseInt(port, 16), inode: Number(inode) });
  }
  return { listeners, more: true };
}

/** The words of 32 bits are in host byte order, which is little-endian on every supported
 *  machine. */
function ipOf(hex: string): string {
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) {
    throw new DecodeError("tcp table: address: neither 8 nor 32 digits at byte 0");
  }
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[(i & ~3) + 3 - (i & 3)] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return formatIp(bytes);
}
