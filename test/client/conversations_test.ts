import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat } from "../../src/codec/bytes.ts";
import {
  type ConversationStreams,
  printAll,
  printPage,
  talkToServer,
} from "../../src/client/conversations.ts";
import { FatalError } from "../../src/errors.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (chunks: readonly Uint8Array[]): string =>
  new TextDecoder().decode(concat([...chunks]));

/** A connection to a server that a test plays. */
class Played {
  readonly sent: Uint8Array[] = [];
  ended = false;
  #server!: ReadableStreamDefaultController<Uint8Array>;
  #onSent: () => void = () => {};
  readonly connection: ConversationStreams = {
    readable: new ReadableStream<Uint8Array>({ start: (it) => void (this.#server = it) }),
    writable: new WritableStream<Uint8Array>({
      write: (chunk) => {
        this.sent.push(chunk.slice());
        this.#onSent();
      },
      close: () => {
        this.ended = true;
        this.#onSent();
      },
    }),
  };

  /** What the server sends. */
  says(...texts: string[]): this {
    for (const text of texts) this.#server.enqueue(bytes(text));
    return this;
  }

  ends(): this {
    this.#server.close();
    return this;
  }

  breaks(): void {
    this.#server.error(new Error("reset"));
  }

  /** Waits until the client has sent this. */
  async gets(wanted: string, ended = false): Promise<void> {
    while (text(this.sent) !== wanted || this.ended !== ended) {
      await new Promise<void>((resolve) => this.#onSent = resolve);
    }
  }
}

/** Input that the test types, one chunk at a time. */
class Typed implements AsyncIterable<Uint8Array> {
  readonly #stream = new TransformStream<Uint8Array, Uint8Array>();
  readonly #writer = this.#stream.writable.getWriter();
  [Symbol.asyncIterator] = () => this.#stream.readable[Symbol.asyncIterator]();
  type = (line: string): void => void this.#writer.write(bytes(line)).catch(() => {});
  end = (): void => void this.#writer.close().catch(() => {});
  fail = (): void => void this.#writer.abort(new Error("no such device")).catch(() => {});
}

function printer(): { printed: Uint8Array[]; print: (bytes: Uint8Array) => Promise<void> } {
  const printed: Uint8Array[] = [];
  return { printed, print: (bytes) => Promise.resolve(void printed.push(bytes.slice())) };
}

test("sslcat prints all bytes as they are, and sends nothing", async () => {
  const server = new Played().says("a\r\n", "\0\xff", "b").ends();
  const { printed, print } = printer();
  await printAll(server.connection, print);
  assertStrictEquals(text(printed), "a\r\n\0\xffb");
  assertEquals([server.sent, server.ended], [[], false]);
});

test("sslcat stops reading while it cannot print", async () => {
  let pulled = 0;
  const readable = new ReadableStream<Uint8Array>({
    pull: (it) => {
      pulled++;
      it.enqueue(bytes("x"));
    },
  }, { highWaterMark: 0 });
  let printing = 0;
  const first = Promise.withResolvers<void>();
  const never = new Promise<void>(() => {});
  const print = (): Promise<void> => {
    if (++printing === 1) first.resolve();
    return never;
  };
  void printAll({ readable, writable: new WritableStream() }, print);
  await first.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assertEquals([printing, pulled], [1, 1]);
});

test("sslconnect sends each line when it is typed, with CR LF, and prints the answers", async () => {
  const [server, input, { printed, print }] = [new Played(), new Typed(), printer()];
  const done = talkToServer(server.connection, input, print);
  server.says("220 hello\r\n");
  input.type("EHLO a\n");
  await server.gets("EHLO a\r\n");
  server.says("250 ok\r\n");
  input.type("QU");
  input.type("IT\r");
  input.type("\n");
  await server.gets("EHLO a\r\nQUIT\r\n");
  server.ends();
  await done;
  assertStrictEquals(text(printed), "220 hello\r\n250 ok\r\n");
  assertStrictEquals(server.ended, false);
});

test("sslconnect goes on printing after the end of its input", async () => {
  const [server, input, { printed, print }] = [new Played(), new Typed(), printer()];
  const done = talkToServer(server.connection, input, print);
  input.type("x");
  input.end();
  await server.gets("x", true);
  server.says("late").ends();
  await done;
  assertStrictEquals(text(printed), "late");
});

test("sslconnect ends with the server, whatever its input does", async () => {
  const [server, input, { printed, print }] = [new Played(), new Typed(), printer()];
  const done = talkToServer(server.connection, input, print);
  input.type("x\n");
  server.says("bye").ends();
  await done;
  assertStrictEquals(text(printed), "bye");
});

test("sslconnect fails when its input cannot be read, or its output not be written", async () => {
  const [server, input, { print }] = [new Played(), new Typed(), printer()];
  const done = talkToServer(server.connection, input, print);
  input.fail();
  await assertRejects(() => done, FatalError, /^unable to read standard input: /);
  const closed = Object.assign(new Error("closed"), { code: "EPIPE" });
  const other = new Played().says("x");
  const talk = () => talkToServer(other.connection, new Typed(), () => Promise.reject(closed));
  assertStrictEquals(await assertRejects(talk), closed);
});

test("a connection that breaks makes each of them fail", async () => {
  const { print } = printer();
  for (
    const converse of [
      (it: ConversationStreams) => printAll(it, print),
      (it: ConversationStreams) => talkToServer(it, new Typed(), print),
      (it: ConversationStreams) => printPage(it, bytes("GET"), print),
    ]
  ) {
    const server = new Played();
    const done = converse(server.connection);
    server.breaks();
    await assertRejects(() => done, Error, /reset/);
  }
});

test("https@ asks for the page and prints the body without CR at line ends", async () => {
  const server = new Played().says("HTTP/1.0 200 OK\r\nA: b\r", "\n\r\nbo", "dy\r", "\nmore\r")
    .ends();
  const { printed, print } = printer();
  await printPage(server.connection, bytes("GET"), print);
  await server.gets("GET");
  assertStrictEquals(text(printed), "body\nmore\r");
});

test("https@ fails when the answer has no body", async () => {
  const server = new Played().says("HTTP/1.0 200 OK\r\n").ends();
  const { printed, print } = printer();
  await assertRejects(
    () => printPage(server.connection, bytes("GET"), print),
    FatalError,
  );
  assertStrictEquals(text(printed), "");
});
