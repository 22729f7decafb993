/** A TLS echo on Bun and nothing else: what the handlers of the server are compared with.
 *  Arguments: port, certificate, key. Prints the port when it listens. */

import process from "node:process";

interface Socket {
  write(bytes: Uint8Array): number;
  end(): void;
  setNoDelay(on: boolean): void;
}

declare const Bun: {
  listen(options: object): { port: number };
  file(path: string): unknown;
};

const [port, certificate = "", key = ""] = process.argv.slice(2);
const listener = Bun.listen({
  hostname: "127.0.0.1",
  port: Number(port),
  tls: { cert: Bun.file(certificate), key: Bun.file(key) },
  socket: {
    open: (socket: Socket) => socket.setNoDelay(true),
    data: (socket: Socket, bytes: Uint8Array) => socket.write(bytes),
    end: (socket: Socket) => socket.end(),
  },
});
console.log(listener.port);
