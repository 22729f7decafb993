/** Clients behind a proxy: the connection begins with a header, then TLS or plaintext follows. */

import * as net from "node:net";
import * as tls from "node:tls";
import { LIMIT, type Server, within } from "./harness.ts";

export interface Proxied {
  /** The local address of the connection. */
  from?: string;
  /** False: no TLS; `say` is sent as plaintext. */
  secure?: boolean;
  /** Sent after the header, or through TLS. */
  say?: string;
  /** One byte of the header per packet. */
  slowly?: boolean;
  /** When aborted, the client disconnects. */
  signal?: AbortSignal;
}

/** Sends `header`, then `say`. Returns the output of the program. */
export async function proxied(
  server: Pick<Server, "port">,
  header: Uint8Array | string,
  { from = "127.0.0.1", secure = true, say, slowly = false, signal }: Proxied = {},
): Promise<string> {
  const socket = net.connect({ port: server.port, host: "127.0.0.1", localAddress: from });
  socket.setNoDelay(true);
  let text = "";
  const hear = (stream: net.Socket): void => {
    stream.on("data", (bytes: Uint8Array) => text += new TextDecoder().decode(bytes));
  };
  socket.on("error", () => {}); // a refused connection may be reset
  signal?.addEventListener("abort", () => socket.destroy());
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const bytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  if (slowly) {
    for (const byte of bytes) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  } else if (bytes.length > 0) socket.write(bytes);
  if (secure) {
    const channel = tls.connect({ socket, rejectUnauthorized: false });
    channel.on("error", () => {});
    channel.on("close", () => socket.destroy());
    hear(channel);
    if (say !== undefined) channel.once("secureConnect", () => channel.write(say));
  } else {
    hear(socket);
    if (say !== undefined) socket.write(say);
  }
  try {
    await within(closed, LIMIT, "the server did not close the connection");
  } finally {
    socket.destroy();
  }
  return text;
}

/** A PROXY header of version 1 for a client. */
export const lineFor = (ip: string, port = 50_312): string =>
  ip.includes(":")
    ? `PROXY TCP6 ${ip} 2001:db8::1 ${port} 465\r\n`
    : `PROXY TCP4 ${ip} 198.51.100.1 ${port} 465\r\n`;
