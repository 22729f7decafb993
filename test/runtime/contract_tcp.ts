/** The contract of listeners and plain connections. */

import { assert, assertEquals, assertStrictEquals, fail } from "@std/assert";
import { test } from "node:test";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import {
  accepting,
  bytes,
  dial,
  event,
  type Kit,
  noProc,
  readAll,
  readSome,
  received,
  residentMb,
  runtimeCommand,
  text,
  turns,
  until,
  within,
} from "./tools.ts";
import { unread } from "../tcp_table.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

/** Starts a shell that runs `script` with a connection to `port` as descriptor 3. */
function shellClient(port: number, script: string): ChildProcess {
  return spawn("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; ${script}`], {
    stdio: ["pipe", "ignore", "inherit"],
  });
}

const gone = (child: ChildProcess) => until(() => child.exitCode !== null, "end of the client");

export function tcpContract(kit: Kit): void {
  const claim = (name: string, body: (kit: Kit) => Promise<void>, skip = kit.skip) =>
    test(`${kit.way}: ${name}`, { ...PATIENT, skip }, () => body(kit));

  claim("a connection has both addresses, IPv4 and IPv6", async (kit) => {
    for (const ip of ["127.0.0.1", "::1"]) {
      const server = accepting(kit, ip);
      const client = await dial(server.port, ip);
      const socket = await server.next();
      assertEquals(socket.local, { ip, port: server.port });
      assertEquals(socket.remote, { ip, port: client.localPort });
      socket.destroy();
      client.destroy();
      server.close();
    }
  });

  claim(
    "input is delivered only after resume(), and output arrives",
    async (kit) => {
      const server = accepting(kit);
      const client = await dial(server.port);
      const answer = received(client);
      const socket = await server.next();
      let early = 0;
      socket.take({ data: () => early++ });
      await new Promise<void>((sent) => client.end("hello", sent));
      await turns();
      assertStrictEquals(early, 0);
      const all = await readAll(socket);
      socket.write(bytes("you said: "));
      socket.write(all);
      const closed = event(socket, "close");
      socket.end();
      assertStrictEquals(text(await answer), "you said: hello");
      assertStrictEquals(await closed, undefined);
      client.destroy();
      server.close();
    },
  );

  claim("data still flows after one side has ended", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    const ended = received(client);
    const socket = await server.next();
    socket.end();
    assertStrictEquals((await ended).length, 0);
    client.write("after your FIN");
    assertStrictEquals(text(await readSome(socket, 14)), "after your FIN");
    client.end();
    const closed = event(socket, "close");
    socket.resume();
    assertStrictEquals(await closed, undefined);
    client.destroy();
    server.close();
  });

  for (const way of ["pause", "hold"] as const) {
    claim(
      `a connection after ${way}() stops the client: memory is bounded, and nothing is lost`,
      (kit) => heldUp(kit, way),
    );
  }

  claim("data without a reader stay in the system", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    const socket = await server.next();
    const waiting = (count: number) =>
      until(() => unread(server.port, client.localPort as number) === count, `${count} unread`);
    await turns();
    client.write("hello");
    await waiting(5);
    assertStrictEquals(text(await readSome(socket, 5, "hold")), "hello");
    await turns();
    client.write("again, please");
    await waiting(13);
    assertStrictEquals(text(await readSome(socket, 13)), "again, please");
    socket.destroy();
    client.destroy();
    server.close();
  }, kit.runtime.name === "Bun" ? kit.skip : "Deno always has a read of 2 KB under way");

  claim("write() returns false, drain follows, and all bytes arrive", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    client.pause();
    const socket = await server.next();
    const chunk = new Uint8Array(65536).fill(7);
    let sent = 0;
    while (socket.write(chunk)) {
      sent += chunk.length;
      assert(sent < 100_000_000, "write() never said no");
      if (sent % (1 << 20) === 0) await new Promise((done) => setTimeout(done, 1));
    }
    sent += chunk.length;
    const drained = event(socket, "drain");
    let count = 0;
    client.on("data", (part: Uint8Array) => count += part.length);
    const ended = within(new Promise<void>((done) => client.once("end", () => done())), "end");
    client.resume();
    await drained;
    socket.write(bytes("!"));
    socket.end();
    await ended;
    assertStrictEquals(count, sent + 1);
    socket.destroy();
    client.destroy();
    server.close();
  });

  claim("a reset causes close with the reason", async (kit) => {
    const server = accepting(kit);
    // Closing with unread input makes the kernel send a reset.
    const client = shellClient(server.port, "read -r -N 1 -u 3");
    const socket = await server.next();
    const closed = event(socket, "close");
    socket.resume();
    socket.write(bytes("unread"));
    const error = await closed;
    assert(error instanceof Error, "closed without a reason");
    await gone(client);
    server.close();
  });

  claim("destroy() frees the connection at once, and a second call does nothing", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    const ended = received(client);
    const socket = await server.next();
    socket.take({ close: () => fail("close after destroy()") });
    socket.resume();
    socket.destroy();
    socket.destroy();
    socket.write(bytes("x"));
    socket.end();
    socket.resume();
    assertStrictEquals((await ended).length, 0);
    client.destroy();
    server.close();
  });

  claim(
    "TCP_NODELAY can be set, and unacknowledged bytes are counted where they can be",
    async (kit) => {
      const server = accepting(kit);
      const client = await dial(server.port);
      const socket = await server.next();
      socket.setNoDelay(true);
      socket.setNoDelay(false);
      assertStrictEquals(socket.unacknowledged(), kit.knowsDescriptor ? 0 : undefined);
      assertStrictEquals(socket.fd !== undefined, kit.knowsDescriptor);
      socket.destroy();
      client.destroy();
      server.close();
    },
  );

  claim("connections wait while the listener is paused; none is lost", async (kit) => {
    const server = accepting(kit);
    const first = await dial(server.port);
    (await server.next()).destroy();
    server.listener.pause();
    const clients = await Promise.all(Array.from({ length: 20 }, () => dial(server.port)));
    // No connection may arrive here, so there is no event to wait for.
    await new Promise((done) => setTimeout(done, 100));
    assertStrictEquals(server.waiting.length, 0);
    server.listener.resume();
    for (let count = 0; count < 20; count++) {
      const socket = await server.next();
      socket.write(bytes("hi"));
      socket.end();
      socket.resume();
    }
    for (const client of clients) assertStrictEquals(text(await received(client)), "hi");
    for (const client of [first, ...clients]) client.destroy();
    server.close();
  });

  claim("close() frees the port at once and leaves accepted connections", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    const answer = received(client);
    const socket = await server.next();
    server.close();
    server.close();
    await new Promise((done) => setTimeout(done, 0)); // Deno.listen frees it by the next turn
    const again = kit.runtime.listen(
      { ip: "127.0.0.1", port: server.port, backlog: 5 },
      () => {},
    );
    assertStrictEquals(again.port, server.port);
    again.close();
    socket.write(bytes("still here"));
    socket.end();
    assertStrictEquals(text(await answer), "still here");
    socket.destroy();
    client.destroy();
  });

  claim("the listener goes on after descriptors ran out", async () => {
    const script = new URL("./scarce_server.ts", import.meta.url).pathname;
    const command = [...runtimeCommand, script, kit.way].join(" ");
    const server = spawn("bash", ["-c", `ulimit -n 64; exec ${command}`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const port = await within(
      new Promise<number>((done) => server.stdout!.once("data", (line) => done(Number(line)))),
      "port",
    );
    const clients = await Promise.all(Array.from({ length: 90 }, () => dial(port)));
    const answers = clients.map(received);
    for (const client of clients) client.once("end", () => client.end());
    const open = () => readdirSync(`/proc/${server.pid}/fd`).length;
    await until(() => open() === 64, "a full table of descriptors");
    server.stdin!.write("free\n");
    for (const answer of answers) assertStrictEquals(text(await answer), "hi");
    for (const client of clients) client.destroy();
    server.stdin!.end();
    await gone(server);
  }, kit.skip || noProc);
}

/** Asserts that a client is blocked after `way` until the stream is resumed. */
async function heldUp(kit: Kit, way: "pause" | "hold"): Promise<void> {
  const size = 300_000_000;
  const server = accepting(kit);
  const client = shellClient(server.port, `head -c ${size} /dev/zero >&3`);
  const socket = await server.next();
  let count = (await readSome(socket, 1, way)).length;
  const before = residentMb();
  // No memory may be taken here, so there is no event to wait for.
  await new Promise((done) => setTimeout(done, 700));
  assert(residentMb() - before < 60, `grew by ${residentMb() - before} MB after ${way}()`);
  const ended = event(socket, "end", { data: (chunk) => count += chunk.length });
  socket.resume();
  await ended;
  assertStrictEquals(count, size);
  socket.destroy();
  await gone(client);
  server.close();
}
