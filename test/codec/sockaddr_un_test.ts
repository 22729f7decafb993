/** Addresses of Unix sockets, compared with the layout of a C compiler. */

import { assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { hex } from "../../src/codec/bytes.ts";
import { encodeUnixSockaddr } from "../../src/codec/sockaddr_un.ts";

test("a path is laid out as the system has it, with its NUL", () => {
  assertStrictEquals(hex(encodeUnixSockaddr("/a/b", "linux")), "0100" + "2f612f62" + "00");
  assertStrictEquals(hex(encodeUnixSockaddr("/a/b", "darwin")), "0601" + "2f612f62" + "00");
  assertStrictEquals(hex(encodeUnixSockaddr("/é", "linux")), "0100" + "2fc3a9" + "00");
});

test("an abstract name begins with a NUL and has none at the end", () => {
  assertStrictEquals(hex(encodeUnixSockaddr("@ab", "linux")), "0100" + "00" + "6162");
  assertThrows(() => encodeUnixSockaddr("@ab", "darwin"), Error, /'@ab' is not an absolute path$/);
});

test("a name of the longest length fits, one byte more is refused", () => {
  for (const [flavour, room] of [["linux", 108], ["darwin", 104]] as const) {
    const longest = "/".padEnd(room - 1, "x");
    assertStrictEquals(encodeUnixSockaddr(longest, flavour).length, 2 + room);
    assertThrows(
      () => encodeUnixSockaddr(longest + "x", flavour),
      Error,
      /is longer than 10[73] bytes$/,
    );
    // The limit is in bytes, not characters.
    const wide = "/".padEnd(room / 2 + 1, "é");
    assertThrows(() => encodeUnixSockaddr(wide, flavour), Error, /is longer/);
  }
  assertStrictEquals(encodeUnixSockaddr("@".padEnd(107, "x"), "linux").length, 109);
});

test("a name that is not that of a socket is refused", () => {
  for (const name of ["", "a", "./a", "vsock:2:9999", "/", "@", "/a\0b", "@a\0b"]) {
    assertThrows(() => encodeUnixSockaddr(name, "linux"), RangeError, undefined, name);
  }
});
