/** HTTP requests: what is accepted, what each mistake is refused with, and that pieces change nothing. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import {
  decodePath,
  hasTag,
  headLength,
  httpDate,
  MAX_HEAD,
  readHttpDate,
  readRange,
  readRequest,
} from "../../src/codec/http_request.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const read = (text: string) => readRequest(bytes(text));

test("a request has a method, a target and fields", () => {
  const request = read("GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: a\r\naccept:\t b \r\n\r\n");
  assert(typeof request !== "number");
  assertStrictEquals(request.method, "GET");
  assertStrictEquals(request.target, "/a?b");
  assertEquals([...request.fields], [["host", "x"], ["accept", "a, b"]]);
});

test("an ambiguous request is refused", () => {
  const rows: [string, number | string][] = [
    ["GET / HTTP/1.0\r\n\r\n", "/"],
    ["GET / HTTP/1.1\n\n", 400],
    ["GET / HTTP/1.1\nHost: x\n\n", "/"],
    ["GET https://x/a HTTP/1.1\r\nHost: x\r\n\r\n", "/a"],
    ["GET https://x HTTP/1.1\r\nHost: x\r\n\r\n", "/"],
    ["GET * HTTP/1.0\r\n\r\n", 400],
    ["GET a HTTP/1.0\r\n\r\n", 400],
    ["GET ftp://x/a HTTP/1.0\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nA : b\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\n: b\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nA\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nA: b\rc\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nA: \0\r\n\r\n", 400],
    ["GET  / HTTP/1.0\r\n\r\n", 400],
    ["G{T / HTTP/1.0\r\n\r\n", 400],
    ["GET /\r\n\r\n", 400],
    ["GET / HTTP/2.0\r\n\r\n", 505],
    ["PRI * HTTP/2.0\r\n\r\n", 505],
    [`GET / HTTP/1.0\r\n${"a: b\r\n".repeat(101)}\r\n`, 431],
  ];
  for (const [text, wanted] of rows) {
    const request = read(text);
    assertStrictEquals(typeof request === "number" ? request : request.target, wanted, text);
  }
});

test("a head is found in one piece and in several", () => {
  const head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  const all = bytes(`${head}more`);
  for (let n = 0; n <= all.length; n++) {
    assertStrictEquals(headLength(all.subarray(0, n), n - 1), n === head.length ? n : 0);
    assertStrictEquals(headLength(all.subarray(0, n)), n >= head.length ? head.length : 0);
  }
  assertStrictEquals(headLength(bytes("x".repeat(MAX_HEAD) + "\n\n")), 0);
});

test("no input makes the readers throw, and no decoded segment leaves the folder", () => {
  const parts = [
    "/",
    ".",
    "..",
    "%2e",
    "%2f",
    "%5c",
    "\\",
    "%00",
    "%",
    "a",
    "%c0%af",
    "?",
    "\n",
    ":",
  ];
  let seed = 1;
  const next = (below: number): number => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0; // ANSI C's rand, the same on every run
    return (seed >>> 16) % below;
  };
  for (let run = 0; run < 20_000; run++) {
    let text = "";
    for (let n = next(12); n > 0; n--) text += parts[next(parts.length)];
    readRequest(bytes(`GET /${text} HTTP/1.0\r\n${text}\r\n\r\n`));
    readRequest(Uint8Array.from({ length: next(60) }, () => next(256)));
    for (const segment of decodePath(`/${text}`)?.segments ?? []) {
      const name = String.fromCharCode(...segment);
      assert(name !== "" && name !== "." && name !== "..", text);
      // deno-lint-ignore no-control-regex
      assert(!/[/\\\x00-\x1f]/.test(name), text);
    }
  }
});

test("a path is decoded once", () => {
  const names = (target: string): string | undefined => {
    const path = decodePath(target);
    const text = path?.segments.map((one) => String.fromCharCode(...one)).join("|");
    return path && `${text}${path.folder ? "/" : ""}`;
  };
  const rows: [string, string | undefined][] = [
    ["/", "/"],
    ["/a/b.txt?x=/../#y", "a|b.txt"],
    ["/a%20b/", "a b/"],
    ["/%252e%252e/x", "%2e%2e|x"],
    ["/...", "..."],
    ["/a//b", undefined],
    ["//a", undefined],
    ["/./a", undefined],
    ["/a/..", undefined],
    ["/%2E%2e/a", undefined],
    ["/a%2fb", undefined],
    ["/a%5cb", undefined],
    ["/a\\b", undefined],
    ["/a%00", undefined],
    ["/a%0a", undefined],
    ["/%zz", undefined],
    ["/%2", undefined],
  ];
  for (const [target, wanted] of rows) assertStrictEquals(names(target), wanted, target);
});

test("a range is one part, none, or the whole file", () => {
  const rows: [string | undefined, ReturnType<typeof readRange>][] = [
    [undefined, undefined],
    ["bytes=0-9", { first: 0, last: 9 }],
    ["bytes=5-", { first: 5, last: 99 }],
    ["bytes=-5", { first: 95, last: 99 }],
    ["bytes=-500", { first: 0, last: 99 }],
    ["bytes=99-500", { first: 99, last: 99 }],
    ["Bytes = 1-1", { first: 1, last: 1 }],
    ["bytes=100-", "none"],
    ["bytes=-0", "none"],
    ["bytes=100-,200-", "none"],
    ["bytes=0-1,5-6", undefined],
    ["bytes=0-1,200-", undefined],
    ["bytes=9-5", undefined],
    ["bytes=-", undefined],
    ["bytes=", undefined],
    ["bytes=a-b", undefined],
    ["bytes=0-1;", undefined],
    ["items=0-1", undefined],
    [`bytes=${"9".repeat(30)}-`, undefined],
  ];
  for (const [field, wanted] of rows) assertEquals(readRange(field, 100), wanted, field);
  assertStrictEquals(readRange("bytes=0-", 0), "none");
});

test("dates and tags", () => {
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
  assertStrictEquals(httpDate(ms), "Sun, 06 Nov 1994 08:49:37 GMT");
  assertStrictEquals(readHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"), ms);
  for (
    const text of ["", "x", "Sun, 06 Nov 1994 08:49:37", "Sun, 99 Nov 1994 08:49:37 GMT", undefined]
  ) {
    assertStrictEquals(readHttpDate(text), undefined);
  }
  assert(hasTag('"a", W/"b"', '"b"') && hasTag("*", '"x"') && !hasTag('"a"', '"b"'));
});
