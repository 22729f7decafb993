/** Addresses of Unix sockets, compared with the layout of a C compiler. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { hex } from "../../src/codec/bytes.ts";
import { encodeUnixSockaddr } from "../../src/codec/sockaddr_un.ts";

test("a path is laid out as the system has it, with its NUL", () => {
  assert.equal(hex(encodeUnixSockaddr("/a/b", "linux")), "0100" + "2f612f62" + "00");
  assert.equal(hex(encodeUnixSockaddr("/a/b", "darwin")), "0601" + "2f612f62" + "00");
  assert.equal(hex(encodeUnixSockaddr("/é", "linux")), "0100" + "2fc3a9" + "00");
});

test("an abstract name has a NUL before it and none behind", () => {
  assert.equal(hex(encodeUnixSockaddr("@ab", "linux")), "0100" + "00" + "6162");
  assert.throws(() => encodeUnixSockaddr("@ab", "darwin"), /'@ab' is no absolute path$/);
});

test("a name of the longest length fits, one byte more is refused", () => {
  for (const [flavour, room] of [["linux", 108], ["darwin", 104]] as const) {
    const longest = "/".padEnd(room - 1, "x");
    assert.equal(encodeUnixSockaddr(longest, flavour).length, 2 + room);
    assert.throws(() => encodeUnixSockaddr(longest + "x", flavour), /is longer than 10[73] bytes$/);
    // The limit is in bytes, not characters.
    const wide = "/".padEnd(room / 2 + 1, "é");
    assert.throws(() => encodeUnixSockaddr(wide, flavour), /is longer/);
  }
  assert.equal(encodeUnixSockaddr("@".padEnd(107, "x"), "linux").length, 109);
});

test("what names no socket is refused", () => {
  for (const name of ["", "a", "./a", "vsock:2:9999", "/", "@", "/a\0b", "@a\0b"]) {
    assert.throws(() => encodeUnixSockaddr(name, "linux"), RangeError, name);
  }
});
