import { assert, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { askIdent, type IdentQuestion } from "../../src/admit/ident.ts";
import { QuestionSockets } from "../../src/dns/question_sockets.ts";
import { FastClock } from "./helpers.ts";

/** An ident server on 127.0.0.1 that runs `script` for each request line. */
async function identServer(
  script: (socket: Socket, line: string) => void,
): Promise<{ port: number; server: Server; sockets: Set<Socket>; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let line = "";
    socket.on("data", (data) => {
      line += data.toString("latin1");
      if (line.endsWith("\n")) script(socket, line);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    server,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

const QUESTION: Omit<IdentQuestion, "port"> = {
  remoteIp: "127.0.0.1",
  remotePort: 50312,
  localIp: "127.0.0.1",
  localPort: 465,
  timeout: 5,
};

for (const port of ["remotePort", "localPort"]) {
  test(`no ident server is asked if the ${port} is 0`, async () => {
    assertStrictEquals(await askIdent({ ...QUESTION, [port]: 0, port: 9 }), undefined);
  });
}

const head = "50312 , 465 : USERID : UNIX : ";
const ROWS: [title: string, script: (socket: Socket) => void, info: string | undefined][] = [
  ["answers", (s) => s.write(`${head}root\r\n`), "root"],
  ["answers and closes", (s) => s.end(`${head}root\r\n`), "root"],
  ["answers byte by byte", (s) => {
    const bytes = [...`${head}root\r\n`];
    const next = () => {
      const byte = bytes.shift();
      if (byte !== undefined && !s.destroyed) s.write(byte, () => setImmediate(next));
    };
    next();
  }, "root"],
  ["answers with an error", (s) => s.end("50312 , 465 : ERROR : NO-USER\r\n"), undefined],
  ["closes", (s) => s.end(), undefined],
  ["resets", (s) => s.resetAndDestroy(), undefined],
  ["closes before the end of the line", (s) => s.end(`${head}root`), undefined],
  ["says nothing", () => {}, undefined],
  ["says half a line and no more", (s) => s.write(`${head}ro`), undefined],
  ["sends 1 MB on one line", (s) => s.write(head + "u".repeat(1_000_000)), "u".repeat(257)],
  ["sends 1 MB of nothing", (s) => s.write(" ".repeat(1_000_000)), undefined],
  ["sends NUL", (s) => s.write(`${head}ro\0ot\r\n`), "ro"],
  ["sends newlines", (s) => s.write(`${head}root\nsslserver: ok 1\n\r\n`), "root"],
  [
    "sends escape sequences",
    (s) => s.write(`${head}\x1b]0;x\x07\x9b2J\r\n`, "latin1"),
    "?]0;x??2J",
  ],
];
for (const [title, script, info] of ROWS) {
  test(`an ident server that ${title} gives ${JSON.stringify(info?.slice(0, 20))}`, async () => {
    const server = await identServer(script);
    const clock = new FastClock();
    assertStrictEquals(await askIdent({ ...QUESTION, port: server.port }, undefined, clock), info);
    assertStrictEquals(clock.timers, 0);
    await server.close();
  });
}

test("the request names both ports and comes from the connection's own local address", async () => {
  let seen = "";
  const server = await identServer((socket, line) => {
    seen = `${socket.remoteAddress} ${line}`;
    socket.end(`${head}root\r\n`);
  });
  const question = { ...QUESTION, localIp: "127.0.0.77", port: server.port };
  assertStrictEquals(await askIdent(question), "root");
  assertStrictEquals(seen, "127.0.0.77 50312 , 465\r\n");
  await server.close();
});

test("without an ident server, or from an address that is not ours, the answer is none at once", async () => {
  const server = await identServer(() => {});
  await server.close();
  const began = performance.now();
  assertStrictEquals(await askIdent({ ...QUESTION, port: server.port }), undefined);
  const elsewhere = { ...QUESTION, localIp: "192.0.2.1", port: server.port };
  assertStrictEquals(await askIdent(elsewhere), undefined);
  assert(performance.now() - began < 4000); // QUESTION has 5 s
});

test("a slow ident server times out and its connection is closed", async () => {
  const server = await identServer((socket) => {
    const feed = setInterval(() => socket.write("x"), 10);
    socket.on("close", () => clearInterval(feed));
  });
  const clock = new FastClock();
  const began = clock.now();
  const question = { ...QUESTION, timeout: 3, port: server.port };
  assertStrictEquals(await askIdent(question, undefined, clock), undefined);
  assert(clock.now() - began >= 2900);
  await Promise.all(
    [...server.sockets].map((socket) => new Promise((resolve) => socket.on("close", resolve))),
  );
  await server.close();
});

test("an abort ends the wait at once", async () => {
  const controller = new AbortController();
  const server = await identServer(() => controller.abort());
  const question = { ...QUESTION, timeout: 600, port: server.port, signal: controller.signal };
  assertStrictEquals(await askIdent(question), undefined);
  assertStrictEquals(await askIdent(question), undefined);
  await server.close();
});

test("the server waits for 200 silent ident servers at the same time", async () => {
  const server = await identServer(() => {});
  const clock = new FastClock();
  const began = clock.now();
  const all = await Promise.all(
    Array.from(
      { length: 200 },
      () => askIdent({ ...QUESTION, port: server.port }, undefined, clock),
    ),
  );
  assert(all.every((info) => info === undefined));
  assert(clock.now() - began < 20_000);
  assertStrictEquals(clock.timers, 0);
  await server.close();
});

test("a question without a descriptor in time fails, and releases nothing twice", async () => {
  const server = await identServer((socket) => socket.end(`${head}root\r\n`));
  const sockets = new QuestionSockets(1);
  const release = sockets.take(() => {}, () => {});
  const question = { ...QUESTION, port: server.port };
  const clock = new FastClock(50);
  assertStrictEquals(await askIdent(question, undefined, clock, sockets), undefined);
  assertStrictEquals(sockets.waiting, 0);
  assertStrictEquals(server.sockets.size, 0);
  release();
  assertStrictEquals(await askIdent(question, undefined, undefined, sockets), "root");
  assertStrictEquals(sockets.open, 0);
  await server.close();
});
