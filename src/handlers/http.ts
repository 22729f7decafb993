/** A small HTTP server for one connection: it reads the head of one request, answers GET and HEAD, and
 *  closes. The size of a head and the time for it are limited. A body of a request is not read. */

import {
  headLength,
  httpDate,
  type HttpRequest,
  MAX_HEAD,
  readRequest,
  tooLong,
} from "../codec/http_request.ts";
import type { HandlerConnection } from "../program/handler.ts";

const REASONS = {
  200: "OK",
  206: "Partial Content",
  301: "Moved Permanently",
  304: "Not Modified",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  412: "Precondition Failed",
  414: "URI Too Long",
  416: "Range Not Satisfiable",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  505: "HTTP Version Not Supported",
} as const;

export type HttpStatusCode = keyof typeof REASONS;

/** An answer. `length` is the length of the body in bytes, even if the body is not sent. */
export interface HttpAnswer {
  readonly status: HttpStatusCode;
  /** Without Date, Content-Length and Connection. */
  readonly fields: Readonly<Record<string, string>>;
  readonly length: number;
  /** The body is the whole answer, with its head. */
  readonly whole?: true;
  /** The body in pieces. Read for GET only. */
  readonly body: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Called once, when the answer has been sent or has failed. */
  readonly close?: () => void;
}

/** Milliseconds in which the head of a request must arrive. */
const HEAD_TIME = 20_000;

/** Serves one request. Rejects if the connection is lost, or if the body of the answer cannot be
 *  read to its end. */
export async function serveHttp(
  conn: Pick<HandlerConnection, "readable" | "writable">,
  answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>,
  headTime = HEAD_TIME,
): Promise<void> {
  const head = await readHead(conn.readable, headTime);
  if (head === undefined) return;
  const request = typeof head === "number" ? head : readRequest(head);
  if (typeof request === "number") return await send(conn.writable, statusPage(request), true);
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") {
    return await send(conn.writable, statusPage(405, { Allow: "GET, HEAD" }), true);
  }
  let found: HttpAnswer;
  try {
    found = await answer(request);
  } catch (error) {
    await send(conn.writable, statusPage(500), method === "GET");
    throw error;
  }
  await send(conn.writable, found, method === "GET");
}

/** An answer whose body is the status as text. */
export function statusPage(
  status: HttpStatusCode,
  fields: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return page(status, "text/plain; charset=utf-8", `${status} ${REASONS[status]}\n`, fields);
}

export function page(
  status: HttpStatusCode,
  type: string,
  text: string,
  fields: Readonly<Record<string, string>> = {},
): HttpAnswer {
  const bytes = new TextEncoder().encode(text);
  return {
    status,
    fields: { "Content-Type": type, "Cache-Control": "no-store", ...fields },
    length: bytes.length,
    body: () => [bytes],
  };
}

/** Returns the bytes of the head, or a status to refuse it with. Undefined: the client's data ended
 *  before the head was complete. */
async function readHead(
  readable: ReadableStream<Uint8Array>,
  time: number,
): Promise<Uint8Array | 408 | 414 | 431 | undefined> {
  const reader = readable.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    drop(reader);
  }, time);
  const bytes = new Uint8Array(MAX_HEAD);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return late ? 408 : undefined;
      const known = length;
      const taken = value.subarray(0, MAX_HEAD - known);
      bytes.set(taken, known);
      length += taken.length;
      const end = headLength(bytes.subarray(0, length), known);
      if (end > 0) return bytes.subarray(0, end);
      if (length === MAX_HEAD) return tooLong(bytes);
    }
  } finally {
    clearTimeout(timer);
    // The rest is read and dropped, so that the client can send it and read the answer.
    if (!late) drop(reader);
  }
}

/** Drops what the client still sends. */
function drop(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  reader.cancel().catch(() => {}); // rejects if the connection is lost
}

async function send(
  writable: WritableStream<Uint8Array>,
  { status, fields, length, body, close, whole }: HttpAnswer,
  withBody: boolean,
): Promise<void> {
  const writer = writable.getWriter();
  try {
    const lines = [
      `HTTP/1.1 ${status} ${REASONS[status]}`,
      `Date: ${httpDate(Date.now())}`,
      ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
      ...(status === 304 ? [] : [`Content-Length: ${length}`]),
      "Connection: close",
    ];
    if (!whole) await writer.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    if ((withBody || whole) && status !== 304) {
      for await (const piece of body()) await writer.write(piece);
    }
    await writer.close();
  } finally {
    close?.();
  }
}
