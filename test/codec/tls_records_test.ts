import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat } from "../../src/codec/bytes.ts";
import { RecordTail } from "../../src/codec/tls_records.ts";

const record = (type: number, length: number): Uint8Array =>
  Uint8Array.of(type, 3, 3, length >> 8, length & 255, ...new Uint8Array(length).fill(type));

/** A TLS 1.3 record of `size` bytes of data, or of an alert. */
const data = (size: number): Uint8Array => record(23, size + 17);
const alert = record(23, 19);

test("close_notify of TLS 1.2 is known by its type", () => {
  const tail = new RecordTail();
  tail.feed(record(23, 40));
  tail.decrypted(16);
  assertStrictEquals(tail.endsWithAlert, false);
  tail.feed(record(21, 26));
  assertStrictEquals(tail.endsWithAlert, true);
});

test("close_notify of TLS 1.3 is distinguished from two bytes of data", () => {
  for (const before of [0, 1, 2, 3, 16_384]) {
    const pieces = before === 0 ? [] : [data(before)];
    for (const last of [alert, data(2)]) {
      const tail = new RecordTail();
      tail.feed(concat([...pieces, last]));
      tail.decrypted(before + (last === alert ? 0 : 2));
      assertStrictEquals(tail.endsWithAlert, last === alert, `${before} bytes before`);
    }
  }
  assertEquals(alert.subarray(0, 5), data(2).subarray(0, 5));
});

test("close_notify is recognised in the same chunk as the end of the handshake", () => {
  const handshakes: Record<string, number[]> = {
    "Finished with SHA-256": [36],
    "Finished with SHA-384": [52],
    "a certificate too": [700, 79, 36],
    "all in one record": [815],
  };
  for (const [what, sizes] of Object.entries(handshakes)) {
    for (const before of [[], [2], [2, 2], [36], [1000, 2]]) {
      for (const last of [alert, data(2)]) {
        const tail = new RecordTail();
        tail.feed(concat([record(20, 1), ...sizes.map(data), ...before.map(data), last]));
        const decrypted = before.reduce((sum, size) => sum + size, last === alert ? 0 : 2);
        if (decrypted > 0) tail.decrypted(decrypted);
        assertStrictEquals(tail.endsWithAlert, last === alert, `${what}, ${before}, ${decrypted}`);
        tail.feed(concat([data(5), last]));
        tail.decrypted(last === alert ? 5 : 7);
        assertStrictEquals(tail.endsWithAlert, last === alert, `${what}, ${before}, later`);
      }
    }
  }
});

test("close_notify is recognised wherever the chunks are cut", () => {
  const whole = concat([record(22, 100), data(10), data(2), alert]);
  for (let cut = 1; cut < whole.length; cut++) {
    const tail = new RecordTail();
    tail.feed(whole.subarray(0, cut));
    // A library decrypts only complete records.
    if (cut >= 105 + 32) tail.decrypted(10);
    if (cut >= 105 + 32 + 24) tail.decrypted(2);
    assertStrictEquals(tail.endsWithAlert, false, `cut at ${cut}`);
    tail.feed(whole.subarray(cut));
    if (cut < 105 + 32) tail.decrypted(10);
    if (cut < 105 + 32 + 24) tail.decrypted(2);
    assertStrictEquals(tail.endsWithAlert, true, `cut at ${cut}`);
  }
});

test("an alert that is not encrypted is read, an encrypted one is not", () => {
  const plain = Uint8Array.of(21, 3, 3, 0, 2, 2, 48);
  const rows: [Uint8Array[], number | undefined][] = [
    [[plain], 48],
    [[plain.subarray(0, 6), plain.subarray(6)], 48],
    [[record(20, 1), plain], 48],
    [[plain.subarray(0, 6)], undefined],
    [[alert], undefined],
    [[record(21, 26)], undefined],
  ];
  for (const [pieces, description] of rows) {
    const tail = new RecordTail();
    for (const piece of pieces) tail.feed(piece);
    assertStrictEquals(tail.plainAlert, description);
  }
});

test("half an alert, a header alone and an empty chunk are not an alert", () => {
  for (const bytes of [alert.subarray(0, 23), alert.subarray(0, 5), alert.subarray(0, 3), []]) {
    const tail = new RecordTail();
    tail.feed(Uint8Array.from(bytes));
    assertStrictEquals(tail.endsWithAlert, false);
  }
});
