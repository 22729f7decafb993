/** The contract of stream ownership: only the owner gets events, and none is lost between two owners. */

import { assert, assertRejects, assertStrictEquals, fail } from "@std/assert";
import { test } from "node:test";
import type { StreamHandler } from "../../src/runtime/stream.ts";
import { type Socket, TlsError } from "../../src/runtime/runtime.ts";
import { concat } from "../../src/codec/bytes.ts";
import {
  accepting,
  bytes,
  dial,
  event,
  type Kit,
  readSome,
  settings,
  text,
  tlsClient,
  tlsThrough,
  turns,
  within,
} from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

const NONE = new Uint8Array(0);

/** A handler that fails on any event. */
const former = (): StreamHandler => {
  const told = (what: string) => () => fail(`a former owner was told: ${what}`);
  return { data: told("data"), end: told("end"), drain: told("drain"), close: told("close") };
};

export function ownerContract(kit: Kit): void {
  const claim = (name: string, body: (kit: Kit) => Promise<void>) =>
    test(`${kit.way}: owner: ${name}`, { ...PATIENT, skip: kit.skip }, () => body(kit));

  /** Tests a plain connection, and a TLS stream after its handshake. */
  for (const secure of [false, true]) {
    const name = secure ? "a TLS stream" : "a socket";
    const open = async (kit: Kit) => {
      const server = accepting(kit);
      const client = secure ? tlsClient(server.port) : await dial(server.port);
      const socket = await server.next();
      const stream = secure
        ? await within(socket.startTls(kit.runtime.tlsContext(settings()), NONE), "handshake")
        : socket;
      const close = (): void => {
        stream.destroy();
        client.destroy();
        server.close();
      };
      return { client, socket, stream, close };
    };

    claim(`${name}: data that arrives while paused goes to the next owner`, async (kit) => {
      const { client, stream, close } = await open(kit);
      client.write("for one");
      assertStrictEquals(text(await readSome(stream, 7)), "for one");
      stream.take(former());
      client.end("for two");
      await turns();
      let got = NONE;
      const ended = event(stream, "end", { data: (chunk) => got = concat([got, chunk]) });
      stream.resume();
      await ended;
      assertStrictEquals(text(got), "for two");
      close();
    });

    claim(`${name}: an owner that pauses and hands over in data gets no more`, async (kit) => {
      const { client, stream, close } = await open(kit);
      let [first, second] = ["", ""];
      const all = within(
        new Promise<void>((done) => {
          stream.take({
            data(chunk) {
              first += text(chunk);
              stream.take({
                data(chunk) {
                  second += text(chunk);
                  if (first.length + second.length === 300_000) done();
                },
              });
            },
          });
        }),
        "all data",
      );
      stream.resume();
      client.write("x".repeat(300_000));
      await all;
      assert(first.length > 0 && second.length > 0);
      close();
    });

    claim(`${name}: drain goes to the current owner`, async (kit) => {
      const { client, stream, close } = await open(kit);
      client.pause();
      stream.take(former());
      // Without a turn of the event loop, in which a client of Deno's node:tls reads though it is paused.
      while (stream.write(new Uint8Array(65536)));
      const drained = event(stream, "drain");
      client.resume();
      await drained;
      close();
    });

    claim(`${name}: abort() is reported once and at once to each owner`, async (kit) => {
      const { client, socket, stream, close } = await open(kit);
      let told = 0;
      stream.take(former());
      stream.take({
        data: () => fail("data after abort()"),
        close(error) {
          assertStrictEquals(error, undefined);
          told++;
        },
      });
      stream.resume();
      socket.abort();
      assertStrictEquals(told, 1);
      socket.abort();
      client.write("late");
      await turns();
      assertStrictEquals(told, 1);
      assertStrictEquals(await event(stream, "close"), undefined);
      close();
    });

    claim(`${name}: destroy() calls no handler`, async (kit) => {
      const { socket, stream, close } = await open(kit);
      stream.take(former());
      stream.destroy();
      socket.abort();
      await turns();
      stream.take(former());
      await turns();
      close();
    });
  }

  claim("a reset while there is no owner is reported to the next owner", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    client.removeAllListeners("error").on("error", () => {});
    const socket = await server.next();
    let closed: (() => void) | undefined;
    const seen = within(new Promise<void>((done) => closed = done), "reset");
    socket.take({ close: () => closed?.() });
    socket.resume();
    client.resetAndDestroy();
    await seen;
    assert(await event(socket, "close") instanceof Error);
    server.close();
  });

  claim("abort() in the middle of a handshake rejects it", async (kit) => {
    const server = accepting(kit);
    const client = await dial(server.port);
    client.removeAllListeners("error").on("error", () => {});
    const socket = await server.next();
    const handshake = socket.startTls(kit.runtime.tlsContext(settings()), bytes("\x16\x03\x01"));
    const rejected = assertRejects(() => within(handshake, "rejection"));
    socket.abort();
    await rejected;
    client.destroy();
    server.close();
  });

  claim("a TLS error between two owners is reported to the second", async (kit) => {
    const server = accepting(kit);
    const { client, toServer } = await tlsThrough(server.port);
    const socket: Socket = await server.next();
    const context = kit.runtime.tlsContext(settings());
    const stream = await within(socket.startTls(context, NONE), "handshake");
    client.write("ok");
    await readSome(stream, 2);
    stream.take({});
    stream.resume();
    toServer.write(Uint8Array.from([23, 3, 3, 0, 30, ...new Uint8Array(30)]));
    for (let n = 0; n < 10; n++) await turns();
    assert(await event(stream, "close") instanceof TlsError);
    for (const one of [stream, client, toServer]) one.destroy();
    server.close();
  });
}
