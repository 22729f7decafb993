/** Messages to a supervisor and the kind of a socket, through the loader of the runtime that runs this
 *  file; and the calls made on macOS. The receiver is a script for Debian's python3. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { makeLibc, SystemError } from "../../../src/runtime/libc/libc.ts";
import { abiOf } from "../../../src/runtime/libc/abi.ts";
import type { Argument } from "../../../src/runtime/libc/call.ts";
import { notifyReceiver, PYTHON } from "../../supervisor/notify_receiver.ts";
import { libcHere } from "./here.ts";

const libc = await libcHere();

function fails(code: string, call: () => unknown): void {
  const error = assertThrows(call, SystemError);
  assertStrictEquals(error.code, code);
}

test("datagrams arrive at a path, and at an abstract name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "notify-"));
  try {
    for (const name of [join(folder, "socket"), `@sslserver-test-${process.pid}`]) {
      const { words } = await notifyReceiver(name, 2);
      const fd = libc.connectUnix(name);
      for (const text of ["READY=1\nSTATUS=é", "STOPPING=1"]) {
        libc.write(fd, new TextEncoder().encode(text));
      }
      libc.close(fd);
      assertEquals(await words(2), ["READY=1\nSTATUS=é", "STOPPING=1"]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a write fails if the receiver has closed", async () => {
  const name = `@sslserver-test-gone-${process.pid}`;
  const { words, child } = await notifyReceiver(name, 1);
  const fd = libc.connectUnix(name);
  const closed = new Promise((resolve) => child.once("close", resolve));
  libc.write(fd, Uint8Array.of(65));
  assertEquals(await words(1), ["A"]);
  await closed;
  fails("ECONNREFUSED", () => libc.write(fd, Uint8Array.of(66)));
  libc.close(fd);
});

test("a socket without a listener is an error, and leaves no descriptor", () => {
  const before = libc.dup(0);
  libc.close(before);
  fails("ENOENT", () => libc.connectUnix("/nowhere/socket"));
  fails("ECONNREFUSED", () => libc.connectUnix("@sslserver-test-nobody"));
  assertThrows(() => libc.connectUnix("vsock:2:1"), RangeError);
  const after = libc.dup(0);
  libc.close(after);
  assertStrictEquals(after, before);
});

test("the kind of a socket is returned, and another file is refused", () => {
  const { fd } = libc.listenSocket({ ip: "127.0.0.1", port: 0, backlog: 1 });
  const [a, b] = libc.socketpair("stream");
  const [c, d] = libc.socketpair("dgram");
  const [read, write] = libc.pipe();
  try {
    assertEquals(libc.socketKind(fd), { stream: true, listening: true });
    assertEquals(libc.socketKind(a), { stream: true, listening: false });
    assertEquals(libc.socketKind(c), { stream: false, listening: false });
    fails("ENOTSOCK", () => libc.socketKind(write));
    fails("EBADF", () => libc.socketKind(1_000_000));
  } finally {
    for (const one of [fd, a, b, c, d, read, write]) libc.close(one);
  }
});

test("an IPv6 socket says whether IPv4 clients reach it", () => {
  for (const v6only of [true, false]) {
    const { fd } = libc.listenSocket({ ip: "::", port: 0, backlog: 1, v6only });
    assertStrictEquals(libc.v6only(fd), v6only);
    libc.close(fd);
  }
});

test("a descriptor that cannot be written is found by an empty write", () => {
  const [read, write] = libc.pipe();
  try {
    libc.checkWritable(write);
    fails("EBADF", () => libc.checkWritable(read));
    fails("EBADF", () => libc.checkWritable(1_000_000));
    libc.setNonBlocking(read, true);
    assertStrictEquals(libc.read(read, 1), undefined); // no byte was written
  } finally {
    libc.close(read);
    libc.close(write);
  }
});

test("the clock is the one that other processes read", () => {
  const clock = "import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)";
  const theirs = (): number => Number(execFileSync(PYTHON, ["-c", clock], { encoding: "utf8" }));
  const seen = [theirs(), libc.monotonicMicroseconds(), theirs()];
  assertEquals(seen, seen.toSorted((a, b) => a - b));
});

test("macOS has numbers and a layout of its own", () => {
  const calls: [string, ...Argument[]][] = [];
  const abi = abiOf("darwin", "arm64");
  const symbols = Object.fromEntries(
    Object.keys(abi.signatures).map((name) => [name, (...args: Argument[]) => {
      calls.push([name, ...args.map((arg) => typeof arg === "number" ? arg : arg.slice())]);
      return name === "socket" ? 9 : 0;
    }]),
  );
  const mac = makeLibc({ abi, symbols, errno: () => 0, address: () => 0n });
  assertStrictEquals(mac.connectUnix("/s"), 9);
  assertEquals(calls.filter(([name]) => name !== "fcntl"), [
    ["socket", 1, 2, 0],
    ["setsockopt", 9, 0xffff, 0x1005, Uint8Array.of(5, ...new Array<number>(15).fill(0)), 16],
    ["connect", 9, Uint8Array.of(4, 1, 0x2f, 0x73, 0), 5],
  ]);
  calls.length = 0;
  assertEquals(mac.socketKind(4), { stream: false, listening: false });
  mac.monotonicMicroseconds();
  assertEquals(
    calls.map((call) => call.slice(0, 4).filter((one) => !(one instanceof Uint8Array))),
    [
      ["getsockopt", 4, 0xffff, 0x1008],
      ["getsockopt", 4, 0xffff, 2],
      ["clock_gettime", 6],
    ],
  );
});
