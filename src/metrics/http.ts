/** The part of HTTP/1.1 that a scraper needs (RFC 9112). Pure: bytes in, an answer out. */

import { latin1 } from "../codec/bytes.ts";
import { headLength, MAX_HEAD, requestLine } from "../codec/http_request.ts";
import { CONTENT_TYPE } from "./exposition.ts";

/** What to answer. */
export type HttpStatus = 200 | 400 | 404 | 405 | 431 | 503;

const WORDS: Record<HttpStatus, string> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** Returns the answer to a request; undefined if its head is not complete. Only `GET /metrics` is
 *  accepted. A query after the path is ignored, and so is a body. The first `known` bytes were
 *  searched before, so that a head that arrives byte by byte costs no more than one that arrives at
 *  once. */
export function requestStatus(request: Uint8Array, known = 0): HttpStatus | undefined {
  if (headLength(request, known) === 0) return request.length >= MAX_HEAD ? 431 : undefined;
  const line = requestLine(latin1(request.subarray(0, MAX_HEAD)));
  if (!line) return 400;
  const path = line.target.split("?")[0];
  if (path !== "/metrics") return 404;
  return line.method === "GET" ? 200 : 405;
}

/** Returns the response, head and body. It announces the end of the connection. */
export function respond(answer: HttpStatus, metrics = ""): Uint8Array {
  const encoder = new TextEncoder();
  const body = encoder.encode(answer === 200 ? metrics : `${answer} ${WORDS[answer]}\n`);
  const head = [
    `HTTP/1.1 ${answer} ${WORDS[answer]}`,
    `Content-Type: ${answer === 200 ? CONTENT_TYPE : "text/plain"}`,
    `Content-Length: ${body.length}`,
    ...(answer === 405 ? ["Allow: GET"] : []),
    "Cache-Control: no-store",
    "Connection: close",
    "",
    "",
  ].join("\r\n");
  const bytes = encoder.encode(head);
  const response = new Uint8Array(bytes.length + body.length);
  response.set(bytes);
  response.set(body, bytes.length);
  return response;
}
