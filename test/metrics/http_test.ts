import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { MAX_HEAD } from "../../src/codec/http_request.ts";
import { type HttpStatus, requestStatus, respond } from "../../src/metrics/http.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const text = (response: Uint8Array): string => new TextDecoder().decode(response);

test("only GET /metrics is granted", () => {
  const rows: [string, number][] = [
    ["GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200],
    ["GET /metrics HTTP/1.0\r\n\r\n", 200],
    ["GET /metrics HTTP/1.1\n\n", 200],
    ["GET /metrics?name=a HTTP/1.1\r\n\r\n", 200],
    ["GET /metrics HTTP/1.1\r\n\r\nmore", 200],
    ["HEAD /metrics HTTP/1.1\r\n\r\n", 405],
    ["POST /metrics HTTP/1.1\r\n\r\n", 405],
    ["get /metrics HTTP/1.1\r\n\r\n", 405],
    ["GET / HTTP/1.1\r\n\r\n", 404],
    ["POST / HTTP/1.1\r\n\r\n", 404],
    ["GET /metrics/ HTTP/1.1\r\n\r\n", 404],
    ["GET //metrics HTTP/1.1\r\n\r\n", 404],
    ["GET /../metrics HTTP/1.1\r\n\r\n", 404],
    ["GET http://x/metrics HTTP/1.1\r\n\r\n", 404],
    ["GET /metrics HTTP/2.0\r\n\r\n", 400],
    ["GET /metrics\r\n\r\n", 400],
    ["GET  /metrics HTTP/1.1\r\n\r\n", 400],
    ["GET /metrics HTTP/1.1 \r\n\r\n", 400],
    ["\r\n\r\n", 400],
    ["\x16\x03\x01\x02\0\x01\r\n\r\n", 400],
  ];
  for (const [request, wanted] of rows) {
    assertStrictEquals(requestStatus(bytes(request)), wanted, request);
    assertStrictEquals(piecewise(bytes(request)), wanted, request);
  }
});

/** The result for a request that comes byte by byte. */
function piecewise(request: Uint8Array): HttpStatus | undefined {
  for (let i = 1; i <= request.length; i++) {
    const answer = requestStatus(request.subarray(0, i), i - 1);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

test("every request gets one answer, whole or in pieces", () => {
  const parts = ["GET ", "/metrics", " HTTP/1.1", "\r", "\n", "\r\n", "\0", "x", "?", "\xff", " "];
  let seed = 1;
  const next = (below: number): number => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0; // ANSI C's rand, the same on every run
    return (seed >>> 16) % below;
  };
  for (let run = 0; run < 20_000; run++) {
    let request = "";
    for (let n = next(12); n > 0; n--) request += parts[next(parts.length)];
    const end = /\n\r?\n/.exec(request);
    const head = bytes(end ? request.slice(0, end.index + end[0].length) : request);
    const answer = requestStatus(bytes(request));
    assertStrictEquals(answer === undefined, end === null, JSON.stringify(request));
    assertStrictEquals(requestStatus(head), answer, JSON.stringify(request));
    assertStrictEquals(piecewise(bytes(request)), answer, JSON.stringify(request));
  }
});

test("a head may arrive byte by byte, up to its limit", () => {
  const request = bytes("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  for (let i = 0; i < request.length; i++) {
    assertStrictEquals(requestStatus(request.subarray(0, i)), undefined, String(i));
  }
  const long = bytes(`GET /metrics HTTP/1.1\r\nA: ${"x".repeat(MAX_HEAD)}`);
  assertStrictEquals(requestStatus(long.subarray(0, MAX_HEAD - 1)), undefined);
  assertStrictEquals(requestStatus(long.subarray(0, MAX_HEAD)), 431);
  assertStrictEquals(requestStatus(long), 431);
});

test("a response says its length in bytes and ends the connection", () => {
  const [head, body] = text(respond(200, "é 1\n")).split("\r\n\r\n");
  assertStrictEquals(body, "é 1\n");
  assertMatch(head ?? "", /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; version=0\.0\.4;/);
  assertMatch(head ?? "", /\r\nContent-Length: 5\r\n/);
  assertMatch(head ?? "", /\r\nConnection: close$/);
});

test("a refusal never carries the metrics", () => {
  for (const answer of [400, 404, 405, 431, 503] as const) {
    const response = text(respond(answer, "secret"));
    assertMatch(response, new RegExp(`^HTTP/1\\.1 ${answer} .*\r\n`));
    assert(!response.includes("secret"));
    assertStrictEquals(response.includes("\r\nAllow: GET\r\n"), answer === 405);
  }
});
