import { assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../src/codec/bytes.ts";
import { BodyReader, pageRequest } from "../../src/codec/http_message.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test("the request for a page", () => {
  const rows: [host: string, page: string, request: string][] = [
    ["a.example", "", "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"],
    ["a.example", "x/y?z=%20", "GET /x/y?z=%20 HTTP/1.0\r\nHost: a.example\r\n\r\n"],
    ["192.0.2.7", "é", "GET /é HTTP/1.0\r\nHost: 192.0.2.7\r\n\r\n"],
    ["2001:db8::1", "", "GET / HTTP/1.0\r\nHost: [2001:db8::1]\r\n\r\n"],
    ["[::1]", "", "GET / HTTP/1.0\r\nHost: [::1]\r\n\r\n"],
    ["fe80::1%eth0", "", "GET / HTTP/1.0\r\nHost: [fe80::1]\r\n\r\n"],
  ];
  for (const [host, page, request] of rows) {
    assertStrictEquals(text(pageRequest(host, page)), request);
  }
});

test("a host or a page that would change the request is refused", () => {
  for (const bad of ["a b", "a\r\nX: y", "\n", "\0", "\x7f", "a\t"]) {
    assertThrows(() => pageRequest("a.example", bad), DecodeError);
    assertThrows(() => pageRequest(bad, ""), DecodeError);
  }
});

/** An answer, its body, and whether it has one. */
const ANSWERS: readonly (readonly [answer: string, body: string, found: boolean])[] = [
  ["HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody\r\nmore", "body\nmore", true],
  ["HTTP/1.0 200 OK\nA: b\n\nbody\r", "body\r", true],
  ["HTTP/1.0 200 OK\r\n\r\n", "", true],
  ["HTTP/1.0 200 OK\r\n\n\r\n\r\n", "\n\n", true],
  ["HTTP/1.0 200 OK\r\nA: \r\r\n", "", false],
  ["HTTP/1.0 200 OK\r\n", "", false],
  ["\r\n", "", true],
  ["", "", false],
  ["a\r\n\r", "", false],
];

for (const [answer, body, found] of ANSWERS) {
  test(`the body of ${JSON.stringify(answer)}, whole and byte by byte`, () => {
    const bytes = new TextEncoder().encode(answer);
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
    for (const chunks of [[bytes], pieces]) {
      const reader = new BodyReader();
      const out = [...chunks.map((chunk) => reader.push(chunk).slice()), reader.end()];
      assertStrictEquals(text(concat(out)), body);
      assertStrictEquals(reader.inBody, found);
    }
  });
}
