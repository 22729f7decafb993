/** Calls for a supervisor: the kind of a socket that was passed, and datagrams to it
 *  (sd_notify(3)). */

import { encodeUnixSockaddr } from "../../codec/sockaddr_un.ts";
import { type Caller, memory } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";
import { newSocket } from "./new_socket.ts";

/** What a socket is. */
export interface SocketKind {
  /** SOCK_STREAM. */
  readonly stream: boolean;
  /** listen(2) has been called on it. */
  readonly listening: boolean;
}

/** Calls about supervisors. All throw SystemError. */
export interface NotifyCalls {
  /** Throws EBADF, ENOTSOCK. */
  socketKind(fd: number): SocketKind;
  /** True if this IPv6 socket does not accept IPv4. */
  v6only(fd: number): boolean;
  /** Checks whether a descriptor can be written to, without writing a byte. Throws EBADF if it is
   *  closed or only for reading, and EINVAL if it is of a kind without bytes, such as the runtime's
   *  epoll. */
  checkWritable(fd: number): void;
  /** A socket, closed on exec, on which each write(2) is a datagram to the Unix socket at `name`, a
   *  path or `@name`. A write waits at most five seconds for room in the queue. Throws RangeError
   *  for an invalid name. */
  connectUnix(name: string): number;
  /** CLOCK_MONOTONIC, in microseconds. */
  monotonicMicroseconds(): number;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const IPPROTO_IPV6 = 41;

/** Numbers that differ. */
const NUMBERS = {
  linux: { SO_TYPE: 3, SO_ACCEPTCONN: 30, SO_SNDTIMEO: 21, CLOCK_MONOTONIC: 1 },
  darwin: { SO_TYPE: 0x1008, SO_ACCEPTCONN: 2, SO_SNDTIMEO: 0x1005, CLOCK_MONOTONIC: 6 },
};

/** Longest wait for room in the supervisor's queue, in seconds. If a message is lost, the
 *  supervisor may kill the service; without a limit, the service would hang whenever the supervisor
 *  hangs. */
const SEND_TIMEOUT = 5;

/** The calls, made through `c`. */
export function notifyCalls(c: Caller, descriptors: DescriptorCalls): NotifyCalls {
  const { abi: { os, constants: k } } = c;
  const numbers = NUMBERS[os];
  const int = memory(4);
  const intView = new DataView(int.buffer);
  const length = memory(4);
  const lengthView = new DataView(length.buffer);
  // struct timeval and struct timespec: seconds, then a fraction, eight bytes each.
  const time = memory(16);
  const timeView = new DataView(time.buffer);

  function option(fd: number, level: number, name: number): number {
    intView.setInt32(0, 0, true);
    lengthView.setUint32(0, 4, true);
    c.zero("getsockopt", fd, level, name, int, length);
    return intView.getInt32(0, true);
  }

  return {
    socketKind: (fd) => ({
      stream: option(fd, k.SOL_SOCKET, numbers.SO_TYPE) === SOCK_STREAM,
      listening: option(fd, k.SOL_SOCKET, numbers.SO_ACCEPTCONN) !== 0,
    }),

    v6only: (fd) => option(fd, IPPROTO_IPV6, k.IPV6_V6ONLY) !== 0,

    checkWritable: (fd) => c.zero("write", fd, int, 0),

    connectUnix(name) {
      const address = encodeUnixSockaddr(name, os);
      return newSocket(c, descriptors, AF_UNIX, { type: "dgram", blocking: true }, (fd) => {
        timeView.setBigInt64(0, BigInt(SEND_TIMEOUT), true);
        timeView.setBigInt64(8, 0n, true);
        c.zero("setsockopt", fd, k.SOL_SOCKET, numbers.SO_SNDTIMEO, time, time.length);
        c.zero("connect", fd, address, address.length);
      });
    },

    monotonicMicroseconds() {
      c.zero("clock_gettime", numbers.CLOCK_MONOTONIC, time);
      const nanoseconds = timeView.getBigInt64(8, true);
      return Number(timeView.getBigInt64(0, true)) * 1e6 + Math.floor(Number(nanoseconds) / 1000);
    },
  };
}
