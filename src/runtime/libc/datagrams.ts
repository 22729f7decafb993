/** UDP by libc: one socket for one conversation. */

import { addressFamily, encodeSockaddr } from "../../codec/sockaddr.ts";
import { parseIp } from "../../codec/ip.ts";
import { type Caller, memory } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";
import { newSocket } from "./new_socket.ts";

/** Calls on datagram sockets. All throw SystemError. */
export interface DatagramCalls {
  /** Makes a UDP socket connected to `to`, non-blocking and closed on exec. It receives only
   *  datagrams of that address and port, and an error if no process listens there. The kernel picks
   *  its local port at random. */
  connectDatagrams(to: { ip: string; port: number; scopeId?: number }): number;
  /** The next datagram; undefined if none waits. Throws ECONNREFUSED after an ICMP error. */
  receiveDatagram(fd: number): Uint8Array | undefined;
}

/** No datagram is longer. */
const MAX_DATAGRAM = 65_535;

/** The calls, made through `c`. */
export function datagramCalls(c: Caller, descriptors: DescriptorCalls): DatagramCalls {
  const { os, constants: k } = c.abi;
  let received: Uint8Array<ArrayBuffer> | undefined;
  return {
    connectDatagrams({ ip: text, port, scopeId = 0 }) {
      const ip = parseIp(text);
      const kind = { type: "dgram", blocking: false } as const;
      return newSocket(c, descriptors, addressFamily(ip.length, os), kind, (fd) => {
        const address = encodeSockaddr({ ip, port, scopeId }, os);
        c.zero("connect", fd, address, address.length);
      });
    },

    receiveDatagram(fd) {
      received ??= memory(MAX_DATAGRAM); // lazy: most processes send no query
      const length = c.unlessBlocked("recv", fd, received, MAX_DATAGRAM, k.MSG_DONTWAIT);
      return length === undefined ? undefined : received.slice(0, length);
    },
  };
}
