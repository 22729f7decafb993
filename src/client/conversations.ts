/** What sslcat, sslconnect and https@ do with a connection. They run in this process, in place of a
 *  program, and end at the end of the server's data. */

import { BodyReader } from "../codec/http_message.ts";
import { CrAdder } from "../codec/line_ends.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { HandlerConnection } from "../program/handler.ts";

/** The part of a connection that is used here. */
export type ConversationStreams = Pick<HandlerConnection, "readable" | "writable">;

/** Prints bytes; resolves when they are written. Rejects with the system's error. */
export type PrintBytes = (bytes: Uint8Array) => Promise<void>;

/** Prints what the server sends. Sends nothing. */
export async function printAll(
  { readable }: ConversationStreams,
  print: PrintBytes,
): Promise<void> {
  for await (const chunk of readable) await print(chunk);
}

/** Sends the input, with CR LF at line ends, and prints what the server sends. At the end of the
 *  input it sends the server end of data, and the server can still send. */
export async function talkToServer(
  { readable, writable }: ConversationStreams,
  input: AsyncIterable<Uint8Array>,
  print: PrintBytes,
): Promise<void> {
  const printing = printAll({ readable, writable }, print);
  // If the input cannot be read, this ends at once. Otherwise it ends with the server's data.
  await Promise.race([printing, sendLines(input, writable.getWriter()).then(() => printing)]);
}

async function sendLines(
  input: AsyncIterable<Uint8Array>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  const lines = new CrAdder();
  const chunks = input[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await chunks.next().catch((error) => {
      throw new FatalError(`unable to read standard input: ${reason(error)}`);
    });
    try {
      if (done) return await writer.close();
      await writer.write(lines.push(value));
    } catch {
      return; // the server has gone: what it has sent is still printed
    }
  }
}

/** Sends a request for a page, and prints the body of the answer without the CR at line ends.
 *  Throws `FatalError` if the answer has no body. */
export async function printPage(
  { readable, writable }: ConversationStreams,
  request: Uint8Array,
  print: PrintBytes,
): Promise<void> {
  // A server may answer and close before it has read the request.
  writable.getWriter().write(request).catch(() => {});
  const body = new BodyReader();
  for await (const chunk of readable) {
    const part = body.push(chunk);
    if (part.length > 0) await print(part);
  }
  await print(body.end());
  if (!body.inBody) {
    throw new FatalError("unable to find the body: the answer has no empty line", EXIT.system);
  }
}
