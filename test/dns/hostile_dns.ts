/** A scripted DNS server for tests: one UDP and one TCP socket on the same port of the loopback address,
 *  and a script that gets each query and decides the answer. */

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { concat, Reader } from "../../src/codec/bytes.ts";
import { encodeName, readDnsName } from "../../src/codec/dns/name.ts";
import { a, cname, message, type Parts, question, record, soa, u16 } from "../codec/dns/build.ts";

/** A query that the server received, and the ways to answer it. */
export interface Asked {
  id: number;
  name: string;
  type: number;
  edns: boolean;
  tcp: boolean;
  /** The source port of the query. */
  port: number;
  /** The number of queries for this name and type so far, this one included. */
  nth: number;
  /** Sends bytes: as a datagram, or over TCP with their length before them. */
  send(bytes: Uint8Array): void;
  /** Sends an answer to this query, changed as `parts` say. */
  answer(parts: Parts): void;
  /** Sends a datagram from another address (127.0.0.2) with the server's port. */
  sendFromElsewhere(bytes: Uint8Array): void;
  /** Sends a datagram from the server's address with another port. */
  sendFromOtherPort(bytes: Uint8Array): void;
  /** The TCP connection. */
  socket: Socket | undefined;
}

export interface HostileDns {
  port: number;
  /** The server's address in the form of $DNSCACHEIP. */
  address: string;
  asked: Asked[];
  close(): Promise<void>;
}

export async function hostileDns(script: (asked: Asked) => void): Promise<HostileDns> {
  const asked: Asked[] = [];
  const counts = new Map<string, number>();
  const [udp, tcp, port] = await bindBoth();
  const elsewhere = createSocket("udp4");
  const otherPort = createSocket("udp4");
  elsewhere.bind(port, "127.0.0.2");
  otherPort.bind(0, "127.0.0.1");
  await Promise.all([once(elsewhere, "listening"), once(otherPort, "listening")]);

  function take(
    query: Uint8Array,
    from: number,
    send: (bytes: Uint8Array, via?: UdpSocket) => void,
    socket?: Socket,
  ): void {
    const reader = new Reader(query, "query", 12);
    const name = readDnsName(reader, "name");
    const type = reader.u16("type");
    const id = new Reader(query, "query").u16("id");
    const key = `${type} ${name}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    const one: Asked = {
      id,
      name,
      type,
      edns: query[11] === 1,
      tcp: socket !== undefined,
      port: from,
      nth,
      send,
      answer: (parts) => send(message({ id, question: question(name, type), ...parts })),
      sendFromElsewhere: (bytes) => send(bytes, elsewhere),
      sendFromOtherPort: (bytes) => send(bytes, otherPort),
      socket,
    };
    asked.push(one);
    script(one);
  }

  udp.on("message", (query, from) => {
    take(query, from.port, (bytes, via = udp) => via.send(bytes, from.port, from.address));
  });
  const streams = new Set<Socket>();
  tcp.on("connection", (socket) => {
    streams.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => streams.delete(socket));
    let buffered = new Uint8Array();
    socket.on("data", (data) => {
      buffered = concat([buffered, data]);
      const length = (buffered[0] ?? 0) << 8 | (buffered[1] ?? 0);
      if (buffered.length < 2 || buffered.length < 2 + length) return;
      const query = buffered.subarray(2, 2 + length);
      const send = (bytes: Uint8Array) => {
        socket.write(concat([u16(bytes.length), bytes]));
      };
      take(query, socket.remotePort ?? 0, send, socket);
    });
  });

  return {
    port,
    address: `127.0.0.1:${port}`,
    asked,
    async close() {
      for (const socket of streams) socket.destroy();
      const sockets = [udp, elsewhere, otherPort];
      const closed = [...sockets.map((socket) => once(socket, "close")), once(tcp, "close")];
      for (const socket of sockets) socket.close();
      tcp.close();
      await Promise.all(closed);
    },
  };
}

/** A UDP and a TCP socket on one free port. */
async function bindBoth(): Promise<[UdpSocket, ReturnType<typeof createServer>, number]> {
  for (let tries = 0; tries < 20; tries++) {
    const tcp = createServer();
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as { port: number };
    const udp = createSocket("udp4");
    udp.bind(port, "127.0.0.1");
    try {
      await once(udp, "listening");
      return [udp, tcp, port];
    } catch {
      tcp.close();
    }
  }
  throw new Error("unable to find a port that is free for UDP and TCP");
}

const POINTER = Uint8Array.of(0xc0, 12);
const A = 1;
const addresses = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => record(POINTER, A, Uint8Array.of(10, 0, i >> 8, i & 255)),
  );

/** The server's behaviour by the first label of the name. Other names get NXDOMAIN. */
export const MISCHIEF: Record<string, (asked: Asked) => void> = {
  plain: (q) => q.answer({ answers: [a(q.name, q.type === A ? "192.0.2.1" : "2001:db8::1")] }),
  two: (q) => q.answer({ answers: [a(q.name, "192.0.2.1"), a(q.name, "192.0.2.2")] }),
  nodata: (q) => q.answer({ authority: [soa("test", 60, 60)] }),
  bare: (q) => q.answer({}),
  servfail: (q) => q.answer({ flags: 0x8182 }),
  refused: (q) => q.answer({ flags: 0x8185 }),
  silent: () => {},
  second: (q) => q.nth > 1 && MISCHIEF["plain"]?.(q),
  // Forgeries first; the answer follows, or never comes.
  wrongid(q) {
    for (let i = 0; i < 50; i++) q.answer({ id: q.id ^ (i + 1), answers: [a(q.name, "6.6.6.6")] });
    MISCHIEF["plain"]?.(q);
  },
  wrongquestion(q) {
    q.answer({ question: question("other.test", A), answers: [a("other.test", "6.6.6.6")] });
    q.answer({ question: question(q.name, 16), answers: [a(q.name, "6.6.6.6")] });
    q.answer({ question: question(q.name, A, 3), answers: [a(q.name, "6.6.6.6")] });
    q.answer({ question: undefined, answers: [a(q.name, "6.6.6.6")] });
    MISCHIEF["plain"]?.(q);
  },
  wrongsource(q) {
    const forged = message({
      id: q.id,
      question: question(q.name, q.type),
      answers: [a(q.name, "6.6.6.6")],
    });
    q.sendFromElsewhere(forged);
    q.sendFromOtherPort(forged);
    setTimeout(() => MISCHIEF["plain"]?.(q), 20);
  },
  onlyelsewhere(q) {
    q.sendFromElsewhere(
      message({ id: q.id, question: question(q.name, A), answers: [a(q.name, "6.6.6.6")] }),
    );
  },
  echo(q) {
    q.answer({ flags: 0x0100 });
    MISCHIEF["plain"]?.(q);
  },
  garbage(q) {
    q.send(new Uint8Array());
    q.send(u16(q.id));
    q.send(concat([u16(q.id), new Uint8Array(60_000).fill(0xc0)]));
    MISCHIEF["plain"]?.(q);
  },
  damaged: (q) => q.answer({ counts: { answers: 60_000 } }),
  damagedsoa: (q) =>
    q.answer({ flags: 0x8183, authority: [record("test", 6, Uint8Array.of(0, 0, 1))] }),
  servfailbare: (q) => q.answer({ flags: 0x8182, question: undefined }),
  refusedbare: (q) => q.answer({ flags: 0x8185, question: undefined }),
  refusedcut: (q) => q.answer({ flags: 0x8185, question: undefined, counts: { questions: 1 } }),
  nxdomainbare: (q) => q.answer({ flags: 0x8183, question: undefined }),
  pointerloop(q) {
    const at = 12 + encodeName(q.name).length + 4;
    q.answer({ answers: [record(u16(0xc000 | at), A, Uint8Array.of(6, 6, 6, 6))] });
  },
  pointerahead(q) {
    const at = 12 + encodeName(q.name).length + 4;
    q.answer({ answers: [record(POINTER, 5, u16(0xc000 | at + 12))] });
  },
  // CNAMEs.
  alias: (q) => q.answer({ answers: [cname(q.name, "host.test"), a("host.test", "192.0.2.9")] }),
  backwards: (q) =>
    q.answer({ answers: [a("host.test", "192.0.2.9"), cname(q.name, "host.test")] }),
  hop(q) {
    const n = Number(q.name.split(".")[1] ?? 0);
    if (n === 0) MISCHIEF["plain"]?.(q);
    else q.answer({ answers: [cname(q.name, `hop.${n - 1}.test`)] });
  },
  self: (q) => q.answer({ answers: [cname(q.name, q.name)] }),
  ping: (q) => q.answer({ answers: [cname(q.name, "pong.test")] }),
  pong: (q) => q.answer({ answers: [cname(q.name, "ping.test")] }),
  dangling: (q) => q.answer({ answers: [cname(q.name, "gone.test")] }),
  danglinghere: (q) =>
    q.answer({
      flags: 0x8183,
      answers: [cname(q.name, "gone.test")],
      authority: [soa("test", 9, 9)],
    }),
  offchain: (q) =>
    q.answer({ answers: [cname(q.name, "silent.test"), a("plain.test", "6.6.6.6")] }),
  // Truncation.
  tcp: (q) => q.tcp ? MISCHIEF["plain"]?.(q) : q.answer({ flags: 0x8380 }),
  tcpcut: (q) =>
    q.tcp ? MISCHIEF["plain"]?.(q) : q.send(
      message({ id: q.id, flags: 0x8380, question: question(q.name, A), counts: { answers: 7 } }),
    ),
  tcpalways: (q) => q.answer({ flags: 0x8380 }),
  tcpclosed: (q) => q.tcp ? q.socket?.destroy() : q.answer({ flags: 0x8380 }),
  tcpsilent: (q) => q.tcp ? undefined : q.answer({ flags: 0x8380 }),
  tcpforged: (q) =>
    q.tcp
      ? q.answer({ id: q.id ^ 1, answers: [a(q.name, "6.6.6.6")] })
      : q.answer({ flags: 0x8380 }),
  tcpempty: (q) => q.tcp ? q.send(new Uint8Array()) : q.answer({ flags: 0x8380 }),
  bytewise(q) {
    if (!q.tcp) return q.answer({ flags: 0x8380 });
    const answer = message({
      id: q.id,
      question: question(q.name, q.type),
      answers: [a(q.name, "192.0.2.1"), a(q.name, "192.0.2.2")],
    });
    const bytes = [...u16(answer.length), ...answer];
    const next = () => {
      const byte = bytes.shift();
      if (byte !== undefined) q.socket?.write(Uint8Array.of(byte), () => setImmediate(next));
    };
    next();
  },
  // Large answers, and answers beyond the limits.
  big: (q) => q.tcp ? q.answer({ answers: addresses(1000) }) : q.answer({ flags: 0x8380 }),
  bigudp: (q) => q.answer({ answers: addresses(1000) }),
  huge: (q) => q.tcp ? q.answer({ answers: addresses(4000) }) : q.answer({ flags: 0x8380 }),
  hugeudp: (q) => q.answer({ answers: addresses(3000) }),
  costly(q) {
    if (!q.tcp) return q.answer({ flags: 0x8380 });
    const label = Uint8Array.from({ length: 64 }, (_, i) => i === 0 ? 63 : 0);
    const long = concat([label, label, label, Uint8Array.of(0)]);
    const last = 12 + encodeName(q.name).length + 4;
    q.answer({
      answers: Array.from({ length: 255 }, (_, i) => {
        const owner = i === 0 ? long : concat([Uint8Array.of(1, i), u16(0xc000 | last)]);
        return record(owner, A, Uint8Array.of(10, 0, 0, i));
      }),
    });
  },
  tcpgarbage: (q) => q.tcp ? q.answer({ counts: { answers: 9 } }) : q.answer({ flags: 0x8380 }),
  // Servers that do not know EDNS0, in four ways.
  noednsformerr: (q) => q.edns ? q.answer({ flags: 0x8181 }) : MISCHIEF["plain"]?.(q),
  noednsbare: (q) =>
    q.edns ? q.answer({ flags: 0x8181, question: undefined }) : MISCHIEF["plain"]?.(q),
  noednsnotimp: (q) => q.edns ? q.answer({ flags: 0x8184 }) : MISCHIEF["plain"]?.(q),
  noednssilent: (q) => q.edns ? undefined : MISCHIEF["plain"]?.(q),
};

/** The script of MISCHIEF. */
export function mischief(asked: Asked): void {
  const [label = ""] = asked.name.split(".");
  const act = MISCHIEF[label];
  if (act === undefined) asked.answer({ flags: 0x8183, authority: [soa("test", 60, 30)] });
  else act(asked);
}
