/** Control buffers and message headers, compared with the layout of a C compiler. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError, hex } from "../../src/codec/bytes.ts";
import {
  controlLength,
  decodeMsghdr,
  decodeRights,
  encodeIovec,
  encodeMsghdr,
  encodeRights,
  MAX_DESCRIPTORS,
  MSGHDR_LAYOUT,
  type MsghdrLayout,
} from "../../src/codec/scm_rights.ts";

const { linux, darwin } = MSGHDR_LAYOUT;
const BOTH = [linux, darwin];

function encoded(fds: readonly number[], layout: MsghdrLayout): Uint8Array {
  const control = new Uint8Array(controlLength(fds.length, layout));
  assertStrictEquals(encodeRights(fds, control, layout), control.length);
  return control;
}

/** Two control messages, one after the other, with the kernel's padding between them. */
function joined(first: Uint8Array, second: Uint8Array, layout: MsghdrLayout): Uint8Array {
  const at = Math.ceil(first.length / layout.align) * layout.align;
  const both = new Uint8Array(at + second.length);
  both.set(first);
  both.set(second, at);
  return both;
}

test("two descriptors are laid out as CMSG_DATA has them, on Linux and on macOS", () => {
  assertStrictEquals(
    hex(encoded([5, 258], linux)),
    "180000000000000001000000010000000500000002010000",
  );
  assertStrictEquals(hex(encoded([5, 258], darwin)), "14000000ffff0000010000000500000002010000");
});

test("a control buffer has no room for an extra descriptor", () => {
  assertEquals([0, 1, 2, 3].map((n) => controlLength(n, linux)), [0, 20, 24, 28]);
  assertEquals([0, 1, 2, 3].map((n) => controlLength(n, darwin)), [0, 16, 20, 24]);
});

test("descriptors round-trip for every count up to the maximum", () => {
  for (const layout of BOTH) {
    for (let count = 0; count <= MAX_DESCRIPTORS; count++) {
      const fds = Array.from({ length: count }, (_, i) => 3 + 7 * i);
      assertEquals(decodeRights(encoded(fds, layout), layout), { fds, foreign: false });
    }
  }
});

test("more descriptors than the system or the buffer allows are refused", () => {
  for (const layout of BOTH) {
    const control = new Uint8Array(4096);
    const many = new Array<number>(MAX_DESCRIPTORS + 1).fill(3);
    assertThrows(() => encodeRights(many, control, layout), RangeError);
    assertThrows(() => encodeRights([3, 4], control.subarray(0, 19), layout), RangeError);
  }
});

test("every truncation is refused", () => {
  for (const layout of BOTH) {
    const control = joined(encoded([5], layout), encoded([6, 7], layout), layout);
    const first = controlLength(1, layout);
    const pad = Math.ceil(first / layout.align) * layout.align;
    for (let cut = 1; cut < control.length; cut++) {
      if (cut >= first && cut <= pad) continue; // exactly one message is left
      assertThrows(
        () => decodeRights(control.subarray(0, cut), layout),
        DecodeError,
        undefined,
        `cut ${cut}`,
      );
    }
    assertEquals(decodeRights(control, layout).fds, [5, 6, 7]);
  }
});

test("a control message of another kind is reported, and descriptors beside it are found", () => {
  for (const layout of BOTH) {
    const credentials = encoded([1, 2, 3], layout);
    credentials[layout.lengthBytes + 4] = 2; // SCM_CREDENTIALS
    const control = joined(credentials, encoded([9], layout), layout);
    assertEquals(decodeRights(control, layout), { fds: [9], foreign: true });
  }
});

test("a length below the header's, or past the end, cannot make the reader loop or overrun", () => {
  for (const layout of BOTH) {
    for (const [length, reason] of [[0, /less than its header/], [255, /past the end/]] as const) {
      const control = encoded([5], layout);
      control[0] = length;
      assertThrows(() => decodeRights(control, layout), Error, reason);
    }
    const huge = encoded([5], layout);
    huge.fill(0xff, 0, layout.lengthBytes);
    assertThrows(() => decodeRights(huge, layout), Error, /past the end/);
  }
});

test("a view into a larger buffer is read from its own beginning", () => {
  const control = encoded([5, 6], linux);
  const larger = new Uint8Array(100).fill(0xff);
  larger.set(control, 12);
  assertEquals(decodeRights(larger.subarray(12, 12 + control.length), linux).fds, [5, 6]);
});

test("a message header is laid out as struct msghdr, on Linux and on macOS", () => {
  const parts = { iov: 0x1122334455667788n, control: 0x99aan, controlLength: 24 };
  const onLinux = new Uint8Array(linux.messageBytes).fill(0xff);
  encodeMsghdr(onLinux, parts, linux);
  assertStrictEquals(
    hex(onLinux),
    "00".repeat(16) + "8877665544332211" + "0100000000000000" + "aa99000000000000" +
      "1800000000000000" + "00".repeat(8),
  );
  const onDarwin = new Uint8Array(darwin.messageBytes).fill(0xff);
  encodeMsghdr(onDarwin, parts, darwin);
  assertStrictEquals(
    hex(onDarwin),
    "00".repeat(16) + "8877665544332211" + "0100000000000000" + "aa99000000000000" +
      "18000000" + "00000000",
  );
});

test("a message header without control data has no control address", () => {
  const header = new Uint8Array(linux.messageBytes);
  encodeMsghdr(header, { iov: 1n, control: 2n, controlLength: 0 }, linux);
  assertStrictEquals(hex(header.subarray(32, 48)), "00".repeat(16));
});

test("the length of the control data and the flags are read from the kernel's answer", () => {
  for (const layout of BOTH) {
    const header = new Uint8Array(layout.messageBytes);
    encodeMsghdr(header, { iov: 1n, control: 2n, controlLength: 20 }, layout);
    new DataView(header.buffer).setInt32(layout.flagsAt, 0x40000028, true);
    assertEquals(decodeMsghdr(header, layout), { controlLength: 20, flags: 0x40000028 });
  }
});

test("an iovec is an address and a length of 64 bits each", () => {
  const iovec = new Uint8Array(16);
  encodeIovec(iovec, 0x7f0000001000n, 65536);
  assertStrictEquals(hex(iovec), "00100000007f0000" + "0000010000000000");
});
