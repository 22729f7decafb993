/** Packets and streams for the DNS and ident clients, over node:dgram and node:net, or the
 *  runtime's own API. The caller decides who may answer, how long to wait and how much to read. */

import type { Socket } from "node:net";
import { nodeDgram, nodeNet } from "../builtins.ts";
import type { NameServer } from "../codec/dns/resolv_conf.ts";
import type { DatagramEvents, Runtime } from "../runtime/runtime.ts";

export interface TcpEvents {
  data(bytes: Uint8Array): void;
  /** The peer has ended the stream, or it failed. Called once, and last. */
  ended(error?: Error): void;
}

/** Neither call throws: a failure is an event. Events come only after the call has returned. The
 *  returned function frees the socket; no event comes after it was called. */
export interface Transport {
  /** Sends one datagram from a new socket, whose port the kernel picks at random: a forger must
   *  guess the port and the id (RFC 5452 9.2). If the runtime supports it, the socket is
   *  connected, so that ICMP reports a closed port. */
  udp(to: NameServer, packet: Uint8Array, events: DatagramEvents): () => void;
  /** Connects, from `localAddress` when given, and sends `bytes`. */
  tcp(to: NameServer, bytes: Uint8Array, events: TcpEvents, localAddress?: string): () => void;
}

/** The network, by the runtime's own datagrams if it has any. */
export function transportOf({ datagram }: Pick<Runtime, "datagram">): Transport {
  return datagram ? { ...nodeTransport, udp: datagram } : nodeTransport;
}

/** The network. */
export const nodeTransport: Transport = {
  udp(to, packet, events) {
    let open = true;
    const socket = nodeDgram().createSocket(to.address.includes(":") ? "udp6" : "udp4");
    const fail = (error: Error) => {
      if (open) events.failed(error);
    };
    socket.on("message", (bytes, from) => {
      if (open) events.packet(bytes, { address: from.address, port: from.port });
    });
    socket.on("error", fail);
    try {
      // Only Bun connects the socket. Deno stores the address and sends to it.
      socket.connect(to.port, to.address, () => {
        if (!open) return;
        try {
          socket.send(packet, (error) => {
            if (error) fail(error);
          });
        } catch (error) {
          fail(error as Error); // on Bun a failed connect is reported only here
        }
      });
    } catch (error) {
      queueMicrotask(() => fail(error as Error));
    }
    return () => {
      if (!open) return;
      open = false;
      socket.close();
    };
  },

  tcp(to, bytes, events, localAddress) {
    let open = true;
    let socket: Socket;
    try {
      const local = localAddress === undefined ? {} : { localAddress };
      socket = nodeNet().connect({ host: to.address, port: to.port, ...local });
    } catch (error) {
      queueMicrotask(() => open && events.ended(error as Error));
      return () => void (open = false);
    }
    const end = (error?: Error) => {
      if (!open) return;
      open = false;
      socket.destroy();
      events.ended(error);
    };
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (data) => {
      if (open) events.data(data);
    });
    socket.on("end", () => end());
    socket.on("error", end);
    socket.on("close", () => end());
    return () => {
      open = false;
      socket.destroy();
    };
  },
};
