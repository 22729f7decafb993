import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { nodeTransport, transportOf } from "../../src/dns/transport.ts";
import { currentRuntime } from "../../src/runtime/current.ts";

const runtime = await currentRuntime();
const network = transportOf(runtime);
const TRANSPORTS = { "the runtime's": network, "node's": nodeTransport };

for (const [whose, transport] of Object.entries(TRANSPORTS)) {
  for (const [type, address] of [["udp4", "127.0.0.1"], ["udp6", "::1"]] as const) {
    test(`${whose} datagram goes to ${address} and what comes back is reported`, async () => {
      const echo = createSocket(type);
      echo.on("message", (bytes, from) => echo.send(bytes, from.port, from.address));
      echo.bind(0, address);
      await once(echo, "listening");
      const { port } = echo.address();
      const got = await new Promise((resolve, reject) => {
        const close = transport.udp({ address, port }, Uint8Array.of(1, 2, 3), {
          packet(bytes, from) {
            close();
            resolve([Array.from(bytes), from]);
          },
          failed: reject,
        });
      });
      assertEquals(got, [[1, 2, 3], { address, port }]);
      echo.close();
    });
  }
}

for (
  const [type, address] of [["udp4", "127.0.0.1"], ["udp6", "::1"], ["udp6", "::1%1"]] as const
) {
  test(`a datagram to a port of ${address} where nobody listens fails at once`, async () => {
    const socket = createSocket(type).bind(0, address.split("%")[0]);
    await once(socket, "listening");
    const to = { address, port: socket.address().port };
    socket.close();
    await once(socket, "close");
    const error = await new Promise((resolve, reject) => {
      const close = network.udp(to, Uint8Array.of(0), {
        packet: reject,
        failed(error) {
          close();
          resolve(error);
        },
      });
    });
    assertMatch(String(error), /ECONNREFUSED|refused/);
  });
}

test("sockets that are closed at once report nothing and do no harm", async () => {
  const events: string[] = [];
  const to = { address: "127.0.0.1", port: 9 };
  const note = (text: string) => () => void events.push(text);
  for (let i = 0; i < 50; i++) {
    const packet = Uint8Array.of(0);
    network.udp(to, packet, { packet: note("packet"), failed: note("failed") })();
    network.tcp(to, packet, { data: note("data"), ended: note("ended") })();
  }
  // Nothing may be reported here, so there is no event to wait for.
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(events, []);
});

test("a refused connection ends once, with its reason", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  let ends = 0;
  const error = await new Promise<Error | undefined>((resolve) => {
    network.tcp({ address: "127.0.0.1", port }, new Uint8Array(), {
      data: () => {},
      ended(error) {
        ends++;
        setTimeout(() => resolve(error), 20); // a second end, which may not come, has no event
      },
    });
  });
  assertStrictEquals(ends, 1);
  assertMatch(String(error), /ECONNREFUSED|refused/);
});

test("a connection comes from the local address that it was given", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const to = { address: "127.0.0.1", port: (server.address() as { port: number }).port };
  const events = { data: () => {}, ended: () => {} };
  for (const local of ["127.0.0.2", undefined]) {
    const accepted = once(server, "connection");
    const close = network.tcp(to, Uint8Array.of(0), events, local);
    const [socket] = await accepted as [Socket];
    assertStrictEquals(socket.remoteAddress, local ?? "127.0.0.1");
    socket.destroy();
    close();
  }
  server.close();
});

test("a request that cannot be sent is reported, not thrown", async () => {
  const to = { address: "127.0.0.1", port: 9 };
  const error = await new Promise((resolve) => {
    const events = { data: () => {}, ended: resolve };
    network.tcp(to, new Uint8Array(), events, "not an address");
  });
  assert(error instanceof Error);
  const failure = await new Promise((resolve) => {
    const events = { packet: () => {}, failed: resolve };
    network.udp({ ...to, port: 99_999 }, Uint8Array.of(0), events);
  });
  assert(failure instanceof Error);
});

test("a stream delivers what was sent and then its end", async () => {
  const server = createServer((socket: Socket) => {
    socket.on("data", (data) => socket.end(data));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const got: number[] = [];
  await new Promise<void>((resolve, reject) => {
    network.tcp({ address: "127.0.0.1", port }, Uint8Array.of(7, 8), {
      data: (bytes) => void got.push(...bytes),
      ended: (error) => error ? reject(error) : resolve(),
    });
  });
  assertEquals(got, [7, 8]);
  server.close();
});

test("a program ends by itself, without a socket left, once its resolver is closed", async () => {
  const path = fromFileUrl(new URL("resolver_exit.ts", import.meta.url));
  const run = "deno" in process.versions ? ["run", "-A", path] : ["--no-install", path];
  const child = spawn(process.execPath, run, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (data) => out += data);
  const [code] = await once(child, "close");
  assertStrictEquals(out, "100 aborted, 0 sockets more\n");
  assertStrictEquals(code, 0);
});

test("without a free descriptor a question fails, and the next one is answered", async () => {
  const echo = createServer((socket: Socket) => socket.on("data", (data) => socket.end(data)));
  const datagrams = createSocket("udp4");
  datagrams.on("message", (bytes, from) => datagrams.send(bytes, from.port, from.address));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  const { port } = echo.address() as { port: number };
  datagrams.bind(port, "127.0.0.1");
  await once(datagrams, "listening");
  const path = fromFileUrl(new URL("scarce_transport.ts", import.meta.url));
  const run = "deno" in process.versions ? ["run", "-A", path] : ["--no-install", path];
  const command = `ulimit -n 100; exec ${[process.execPath, ...run, String(port)].join(" ")}`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (data) => out += data);
  await once(child, "close");
  assertEquals(out.split("\n"), [
    "udp answer, tcp answer",
    "udp failed, tcp failed",
    "udp answer, tcp answer",
    "",
  ]);
  echo.close();
  datagrams.close();
});
