/** Calls for TCP connections that this process makes: with a choice of the local end, and
 *  non-blocking. */

import { addressFamily, encodeSockaddr } from "../../codec/sockaddr.ts";
import { parseIp } from "../../codec/ip.ts";
import { type Caller, memory } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";
import { SystemError, systemError } from "./errno.ts";
import { newSocket } from "./new_socket.ts";
import type { SocketEndpoint } from "./sockets.ts";

type End = Pick<SocketEndpoint, "ip" | "port" | "scopeId">;

/** Calls on connections under way. All throw SystemError. */
export interface OutgoingCalls {
  /** A TCP socket that begins to connect: non-blocking, closed on exec. The result is known when
   *  the socket is writable; see `connectError`. `local`: the address to bind to. */
  connectSocket(to: End, local?: End): number;
  /** Why the connection of such a socket failed; undefined if it is connected. The system reports
   *  the error only once. */
  connectError(fd: number): SystemError | undefined;
}

const SO_ERROR = { linux: 4, darwin: 0x1007 };

/** The calls, made through `c`. */
export function outgoingCalls(c: Caller, descriptors: DescriptorCalls): OutgoingCalls {
  const { os, constants: k } = c.abi;
  const int = memory(4);
  const intView = new DataView(int.buffer);
  const length = memory(4);
  const lengthView = new DataView(length.buffer);
  const struct = ({ ip, port, scopeId = 0 }: End) =>
    encodeSockaddr({ ip: parseIp(ip), port, scopeId }, os);

  function bind(fd: number, local: End): void {
    // A fixed port may still belong to a connection that was closed a moment ago (TIME_WAIT).
    if (local.port !== 0) c.setOption(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
    const address = struct(local);
    c.zero("bind", fd, address, address.length);
  }

  function connect(fd: number, to: End): void {
    const address = struct(to);
    try {
      c.zero("connect", fd, address, address.length);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EINPROGRESS")) throw error;
    }
  }

  return {
    connectSocket(to, local) {
      const family = addressFamily(parseIp(to.ip).length, os);
      return newSocket(c, descriptors, family, { type: "stream", blocking: false }, (fd) => {
        if (local) bind(fd, local);
        connect(fd, to);
      });
    },

    connectError(fd) {
      lengthView.setUint32(0, 4, true);
      c.zero("getsockopt", fd, k.SOL_SOCKET, SO_ERROR[os], int, length);
      const errno = intView.getInt32(0, true);
      return errno === 0 ? undefined : systemError("connect", errno, os);
    },
  };
}
