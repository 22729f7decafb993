/** The contract of how a TLS stream ends after its handshake, and which events report it. */

import { assert, assertMatch, assertStrictEquals, fail } from "@std/assert";
import type { Socket as Client } from "node:net";
import { test } from "node:test";
import type { TLSSocket } from "node:tls";
import { reasonWords } from "../../src/log/reasons.ts";
import { TlsError, type TlsStream } from "../../src/runtime/runtime.ts";
import {
  accepting,
  event,
  type Kit,
  readSome,
  settings,
  tlsThrough,
  turns,
  until,
  within,
} from "./tools.ts";

/** Bun's default limit of a test is 5 s. */
const PATIENT = { timeout: 60_000 };

const NONE = new Uint8Array(0);
/** A forged record: a valid header for TLS 1.2 and 1.3, but no encrypted content. */
const FORGED = Uint8Array.from([23, 3, 3, 0, 30, ...new Uint8Array(30)]);

interface Talk {
  stream: TlsStream;
  client: TLSSocket;
  /** The connection under the client's TLS. Writing to it bypasses TLS. */
  toServer: Client;
}

export function endingsContract(kit: Kit): void {
  /** Tests one connection after its handshake, in each version of TLS. */
  const claim = (name: string, body: (talk: Talk) => Promise<void>) => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      test(
        `${kit.way}: ending: ${name}, ${maxVersion}`,
        { ...PATIENT, skip: kit.skip },
        async () => {
          const server = accepting(kit);
          const { client, toServer } = await tlsThrough(server.port);
          const socket = await server.next();
          const context = kit.runtime.tlsContext(settings({ maxVersion }));
          const stream = await within(socket.startTls(context, NONE), "handshake");
          client.resume();
          try {
            await body({ stream, client, toServer });
          } finally {
            stream.destroy();
            client.destroy();
            toServer.destroy();
            server.close();
          }
        },
      );
    }
  };

  const broken = (error: Error | undefined, kind: string, words: RegExp): void => {
    assert(error instanceof TlsError, `not a TlsError: ${error}`);
    assertStrictEquals(error.kind, kind);
    assertMatch(reasonWords(error.reason), words);
  };

  claim("a forged record causes close with bad record mac", async (talk) => {
    const { stream, client, toServer } = talk;
    client.write("ok");
    await readSome(stream, 2);
    const end = (): void => fail("a breach is no end of data");
    const closed = event(stream, "close", { end });
    stream.resume();
    toServer.write(FORGED);
    const error = await closed;
    broken(error, "breach", /^bad record mac$/);
  });

  claim("a reset causes close with connection reset by the peer", async (talk) => {
    const { stream, client, toServer } = talk;
    client.write("ok");
    await readSome(stream, 2);
    const end = (): void => fail("a reset is no end of data");
    const closed = event(stream, "close", { end });
    stream.resume();
    toServer.resetAndDestroy();
    const error = await closed;
    broken(error, "reset", /^connection reset by the peer$/);
  });

  claim("each owner that takes a closed stream gets the reason", async ({ stream, toServer }) => {
    const first = event(stream, "close");
    stream.resume();
    toServer.write(FORGED);
    const error = await first;
    for (let owner = 0; owner < 2; owner++) {
      let told = false;
      const late = event(stream, "close").finally(() => told = true);
      assert(!told, "from within take()");
      assertStrictEquals(await late, error);
    }
    broken(error, "breach", /^bad record mac$/);
  });

  claim("a FIN without close_notify is a truncated end", async ({ stream, client, toServer }) => {
    client.write("cut");
    assertStrictEquals((await readSome(stream, 3)).length, 3);
    const ended = event(stream, "end");
    stream.resume();
    toServer.end();
    assertStrictEquals(await ended, true);
    const closed = event(stream, "close");
    stream.end();
    assertStrictEquals(await closed, undefined);
  });

  for (const size of [1, 2, 3, 40_000]) {
    claim(`${size} bytes and a FIN at once: a truncated end`, async (talk) => {
      const { stream, client, toServer } = talk;
      let count = 0;
      client.write(new Uint8Array(size));
      const written = toServer.bytesWritten;
      await until(() => toServer.bytesWritten >= written + size, "the bytes on their way");
      toServer.end();
      await turns();
      const ended = event(stream, "end", { data: (chunk) => count += chunk.length });
      stream.resume();
      assertStrictEquals(await ended, true);
      assertStrictEquals(count, size);
    });

    claim(`${size} bytes, close_notify and a FIN at once: an orderly end`, async (talk) => {
      const { stream, client } = talk;
      let count = 0;
      client.end(new Uint8Array(size));
      await turns();
      const ended = event(stream, "end", { data: (chunk) => count += chunk.length });
      stream.resume();
      assertStrictEquals(await ended, false);
      assertStrictEquals(count, size);
    });
  }

  claim("close_notify byte by byte, and a FIN much later: an orderly end", async (talk) => {
    const { stream, client, toServer } = talk;
    client.write("x");
    await readSome(stream, 1);
    const write = toServer.write.bind(toServer);
    toServer.end = () => toServer;
    const pieces: Uint8Array[] = [];
    toServer.write = (piece: Uint8Array) => pieces.push(piece) > 0;
    client.end();
    await until(() => pieces.length > 0, "close_notify");
    const ended = event(stream, "end");
    stream.resume();
    for (const piece of pieces) {
      for (const byte of piece) {
        write(Uint8Array.of(byte));
        await turns();
      }
    }
    assertStrictEquals(await ended, false);
  });

  claim(
    "close() sends no reset to a client that has read everything",
    async ({ stream, toServer }) => {
      let wrong: Error | undefined;
      toServer.on("error", (error) => wrong = error);
      const fin = within(new Promise<void>((done) => toServer.once("end", done)), "FIN");
      stream.end();
      await fin;
      stream.take({ close: () => fail("close after close()") });
      stream.close();
      await turns();
      toServer.end();
      await within(new Promise<void>((done) => toServer.once("close", () => done())), "end");
      assertStrictEquals(wrong, undefined);
    },
  );
}
