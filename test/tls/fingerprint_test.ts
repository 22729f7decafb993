import { assertMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat } from "../../src/codec/bytes.ts";
import { fingerprint } from "../../src/tls/fingerprint.ts";
import { extension, message, records } from "../codec/client_hello_samples.ts";
import { RECORDED } from "../codec/tls/samples.ts";

const CHROMIUM = RECORDED.get("chromium") as Uint8Array;

test("a client has the same fingerprint in one record and in several", () => {
  const hello = CHROMIUM.subarray(5);
  const whole = fingerprint(CHROMIUM);
  assertMatch(whole ?? "", /^t13d1517h2_8daaf6152771_\w{12}$/);
  assertStrictEquals(fingerprint(records(hello, 500)), whole);
  assertStrictEquals(fingerprint(concat([CHROMIUM, Uint8Array.of(20, 3, 3, 0, 1, 1)])), whole);
});

test("an incomplete ClientHello has no fingerprint", () => {
  const rows: [string, Uint8Array][] = [
    ["nothing", new Uint8Array(0)],
    ["half a hello", CHROMIUM.subarray(0, 700)],
    ["HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ["too many records", records(CHROMIUM.subarray(5), 10)],
    ["malformed versions", records(message([extension(43, Uint8Array.of(3, 3, 4))]))],
    ["a hello that is cut", records(Uint8Array.of(1, 0, 0, 2, 3, 3))],
  ];
  for (const [what, bytes] of rows) assertStrictEquals(fingerprint(bytes), undefined, what);
});
