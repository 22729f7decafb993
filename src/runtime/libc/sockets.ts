/** TCP sockets by libc, for what the runtimes' own listeners lack: backlog, dual-stack, accept only
 *  when asked, and some socket options. */

import {
  addressFamily,
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_MAX,
} from "../../codec/sockaddr.ts";
import { formatIp, parseIp } from "../../codec/ip.ts";
import { type Caller, type Memory, memory } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";
import { SystemError } from "./errno.ts";
import { markSocket, newSocket, socketFlags } from "./new_socket.ts";

/** Where to listen. */
export interface BindAddress {
  /** A literal address. */
  readonly ip: string;
  /** 0 for any free one. */
  readonly port: number;
  /** IPv6 only: no IPv4 clients on `::`. Default true; always set, whatever the system's default. */
  readonly v6only?: boolean;
  /** Interface of a link-local address. */
  readonly scopeId?: number;
  /** Connections that may wait. The system caps it (somaxconn). */
  readonly backlog: number;
  /** Share the port with other sockets that set this too. */
  readonly reusePort?: boolean;
}

/** An end of a connection, as the kernel returns it: an IPv4 peer of a dual-stack socket has family
 *  6 and the ip `::ffff:192.0.2.1`. */
export interface SocketEndpoint {
  readonly ip: string;
  readonly port: number;
  readonly family: 4 | 6;
  /** Of a link-local IPv6 address only. */
  readonly scopeId?: number;
}

/** Calls on sockets. All throw SystemError. */
export interface SocketCalls {
  /** A listening TCP socket, non-blocking, closed on exec, and the port it got. */
  listenSocket(address: BindAddress): { fd: number; port: number };
  /** Sets the backlog anew; also of a socket that listens already. */
  listen(fd: number, backlog: number): void;
  /** Stops new connections from entering the queue of a socket that is about to be closed. The
   *  kernel drops each SYN, so that the client sends it again after a second, when a successor may
   *  listen. Connections in the queue can still be accepted. Does nothing except on Linux. */
  dropNewConnections(fd: number): void;
  /** Repairs a listening socket after a worker, which shares it, may have damaged it. A worker's
   *  sandbox permits the calls that can do so: listen(2) with a shorter queue; shutdown(2), and
   *  connect(2) to no address, which end the listening; a change of O_NONBLOCK or SO_LINGER. `at`:
   *  where it listened. True: it no longer listened. Throws if it cannot be made to listen
   *  again. */
  repairListener(fd: number, backlog: number, at: SocketEndpoint): boolean;
  /** The next connection, non-blocking and closed on exec; undefined if none waits. Throws EMFILE,
   *  ENFILE, ENOBUFS, ENOMEM, after which the connection still waits: pause, then try again. */
  acceptDescriptor(fd: number): { fd: number; peer: SocketEndpoint } | undefined;
  /** This end. */
  getsockname(fd: number): SocketEndpoint;
  /** The other end. */
  getpeername(fd: number): SocketEndpoint;
  /** Removes the IP options (source routes) of an accepted IPv4 connection; also of an IPv6 socket,
   *  whose peer may be IPv4. */
  dropIpOptions(fd: number): void;
  /** The IP options that are set. */
  ipOptions(fd: number): Memory;
  /** TCP_NODELAY: on sends at once, off waits to fill packets (Nagle). */
  setNoDelay(fd: number, on: boolean): void;
  /** Acknowledges received data now, and the next data without delay (Linux). */
  quickAck(fd: number): void;
  /** Ends the output of this socket, for every process that shares it: the other end reads end of
   *  file. */
  endOutput(fd: number): void;
  /** Returns at most `MAX_PEEK` of the unread bytes, which stay unread. Empty if the peer has
   *  closed or nothing has come. */
  peek(fd: number): Uint8Array;
  /** Bytes written that the peer has not acknowledged. */
  outputQueue(fd: number): number;
}

const IPPROTO = { ip: 0, tcp: 6, ipv6: 41 };
const TCP_NODELAY = 1;
const TCP_QUICKACK = 12; // Linux
/** linux/filter.h, struct sock_filter: the packet begins with the TCP header, whose 14th byte holds
 *  the flags. A packet with SYN and without ACK is accepted with 0 bytes, which means that it is
 *  dropped. */
const SO_ATTACH_FILTER = 26;
const NO_NEW_CONNECTIONS = [
  [0x30, 0, 0, 13], // LD | B | ABS
  [0x54, 0, 0, 0x12], // AND, SYN | ACK
  [0x15, 0, 1, 0x02], // JEQ, SYN
  [0x06, 0, 0, 0], // RET
  [0x06, 0, 0, 0xffffffff],
] as const;
const SO_LINGER = { linux: 13, darwin: 0x80 };
const SO_ACCEPTCONN = { linux: 30, darwin: 2 };
/** A ClientHello of 16 KB in as many records as codec/client_hello.ts accepts. */
const MAX_PEEK = 16_500;
const MSG_PEEK = 2;
const SHUT_WR = 1;
const SIOCOUTQ = 0x5411;
const SO_NWRITE = 0x1024;

/** RFC 791: at most 40 bytes. */
const MAX_IP_OPTIONS = 40;

/** accept(2): errors of the connection that has just gone, not of the listener. */
const PEER_GONE = new Set([
  "ECONNABORTED",
  "EPROTO",
  "ENOPROTOOPT",
  "EHOSTDOWN",
  "ENONET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "EOPNOTSUPP",
]);

/** Maximum connections skipped in one call because they are already gone. A limit, because the loop
 *  must end for a broken listener too: EOPNOTSUPP is also the error of a socket that does not
 *  listen. */
const MAX_GONE = 64;

/** The calls, made through `c`. */
export function socketCalls(c: Caller, descriptors: DescriptorCalls): SocketCalls {
  const os = c.abi.os;
  const k = c.abi.constants;
  const address = memory(SOCKADDR_MAX);
  const length = memory(4);
  const lengthView = new DataView(length.buffer);
  const peeked = memory(MAX_PEEK);
  const int = memory(4);
  const intView = new DataView(int.buffer);
  // SOCK_NONBLOCK and SOCK_CLOEXEC are the numbers of O_NONBLOCK and O_CLOEXEC on Linux.
  const flags = socketFlags(c.abi);

  function endpoint(): SocketEndpoint {
    const filled = Math.min(lengthView.getUint32(0, true), SOCKADDR_MAX);
    const { ip, port, scopeId } = decodeSockaddr(address.subarray(0, filled), os);
    const family = ip.length === 4 ? 4 : 6;
    return { ip: formatIp(ip), port, family, ...(scopeId !== 0 && { scopeId }) };
  }

  function name(call: "getsockname" | "getpeername", fd: number): SocketEndpoint {
    lengthView.setUint32(0, SOCKADDR_MAX, true);
    c.zero(call, fd, address, length);
    return endpoint();
  }

  function bind(fd: number, where: Pick<SocketEndpoint, "ip" | "port" | "scopeId">): void {
    const { port, scopeId = 0 } = where;
    const struct = encodeSockaddr({ ip: parseIp(where.ip), port, scopeId }, os);
    c.zero("bind", fd, struct, struct.length);
  }

  /** Binds again if needed: a port that the system chose is released when the socket stops
   *  listening. */
  function bindAgain(fd: number, at: SocketEndpoint): void {
    try {
      bind(fd, at);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EINVAL")) throw error; // still bound
    }
  }

  function open(where: BindAddress): number {
    const ip = parseIp(where.ip);
    const kind = { type: "stream", blocking: false } as const;
    return newSocket(c, descriptors, addressFamily(ip.length, os), kind, (fd) => {
      c.setOption(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
      if (where.reusePort) c.setOption(fd, k.SOL_SOCKET, k.SO_REUSEPORT, 1);
      if (ip.length === 16) {
        c.setOption(fd, IPPROTO.ipv6, k.IPV6_V6ONLY, where.v6only === false ? 0 : 1);
      }
      bind(fd, where);
      c.zero("listen", fd, where.backlog);
    });
  }

  function accept(fd: number): number | undefined {
    for (let gone = 0;; gone++) {
      lengthView.setUint32(0, SOCKADDR_MAX, true);
      try {
        return os === "linux"
          ? c.unlessBlocked("accept4", fd, address, length, flags)
          : c.unlessBlocked("accept", fd, address, length);
      } catch (error) {
        if (!(error instanceof SystemError && PEER_GONE.has(error.code)) || gone === MAX_GONE) {
          throw error;
        }
      }
    }
  }

  function ipOptions(fd: number): Memory {
    const options = memory(MAX_IP_OPTIONS);
    lengthView.setUint32(0, MAX_IP_OPTIONS, true);
    c.zero("getsockopt", fd, IPPROTO.ip, k.IP_OPTIONS, options, length);
    return options.slice(0, lengthView.getUint32(0, true));
  }

  return {
    listenSocket(where) {
      const fd = open(where);
      return { fd, port: name("getsockname", fd).port };
    },

    listen: (fd, backlog) => c.zero("listen", fd, backlog),

    dropNewConnections(fd) {
      if (os !== "linux") return;
      const filter = memory(8 * NO_NEW_CONNECTIONS.length);
      const program = new DataView(filter.buffer);
      for (const [i, [code, jt, jf, value]] of NO_NEW_CONNECTIONS.entries()) {
        program.setUint16(8 * i, code, true);
        program.setUint8(8 * i + 2, jt);
        program.setUint8(8 * i + 3, jf);
        program.setUint32(8 * i + 4, value, true);
      }
      const header = memory(16); // struct sock_fprog
      const view = new DataView(header.buffer);
      view.setUint16(0, NO_NEW_CONNECTIONS.length, true);
      view.setBigUint64(8, c.raw.address(filter), true);
      c.zero("setsockopt", fd, k.SOL_SOCKET, SO_ATTACH_FILTER, header, header.length);
      filter.fill(0); // a use after the call, so that it is not collected before
    },

    repairListener(fd, backlog, at) {
      lengthView.setUint32(0, 4, true);
      c.zero("getsockopt", fd, k.SOL_SOCKET, SO_ACCEPTCONN[os], int, length);
      const stoppedListening = intView.getInt32(0, true) === 0;
      descriptors.setNonBlocking(fd, true);
      c.zero("setsockopt", fd, k.SOL_SOCKET, SO_LINGER[os], memory(8), 8);
      if (stoppedListening) bindAgain(fd, at);
      c.zero("listen", fd, backlog);
      return stoppedListening;
    },

    acceptDescriptor(fd) {
      const accepted = accept(fd);
      if (accepted === undefined) return undefined;
      const peer = endpoint();
      markSocket(c.abi, descriptors, accepted);
      return { fd: accepted, peer };
    },

    getsockname: (fd) => name("getsockname", fd),
    getpeername: (fd) => name("getpeername", fd),

    dropIpOptions(fd) {
      try {
        c.zero("setsockopt", fd, IPPROTO.ip, k.IP_OPTIONS, int, 0);
      } catch (error) {
        // ENOPROTOOPT: some emulators and sandboxes do not know the option. After another error, the
        // connection is closed if it has IP options. With source routing, a client could pretend to
        // have any address.
        if (error instanceof SystemError && error.code === "ENOPROTOOPT") return;
        if (ipOptions(fd).length > 0) throw error;
      }
    },

    ipOptions,

    setNoDelay: (fd, on) => c.setOption(fd, IPPROTO.tcp, TCP_NODELAY, on ? 1 : 0),

    quickAck: (fd) => c.setOption(fd, IPPROTO.tcp, TCP_QUICKACK, 1),

    endOutput: (fd) => c.zero("shutdown", fd, SHUT_WR),

    peek(fd) {
      const length = c.unlessBlocked("recv", fd, peeked, MAX_PEEK, MSG_PEEK | k.MSG_DONTWAIT) ?? 0;
      return peeked.slice(0, length);
    },

    outputQueue(fd) {
      if (os === "linux") {
        c.zero("ioctl", fd, SIOCOUTQ, int);
      } else {
        lengthView.setUint32(0, 4, true);
        c.zero("getsockopt", fd, k.SOL_SOCKET, SO_NWRITE, int, length);
      }
      return intView.getInt32(0, true);
    },
  };
}
