import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { TAG } from "../../src/codec/der.ts";
import { element, sequence, unsigned } from "../../src/codec/der_write.ts";
import { sessionId } from "../../src/codec/ssl_session.ts";

function session(id: Uint8Array): Uint8Array {
  return sequence(
    unsigned(Uint8Array.of(1)),
    unsigned(Uint8Array.of(3, 3)),
    element(TAG.octetString, Uint8Array.of(192, 43)),
    element(TAG.octetString, id),
    element(TAG.octetString, new Uint8Array(48).fill(0x55)),
  );
}

test("only the id of a session is read", () => {
  const id = Uint8Array.from({ length: 32 }, (_, i) => i);
  const found = sessionId(session(id));
  assertEquals(found, id);
  assertStrictEquals(found?.buffer.byteLength, 32);
});

test("a session without an id has none", () => {
  assertStrictEquals(sessionId(session(new Uint8Array())), undefined);
});

test("an id of 33 bytes and every truncation before the id's end are refused", () => {
  assertThrows(() => sessionId(session(new Uint8Array(33))), Error, /id: above 32 bytes/);
  const der = session(Uint8Array.of(1));
  for (let length = 0; length < der.length; length++) {
    assertThrows(() => sessionId(der.subarray(0, length)), DecodeError);
  }
});
