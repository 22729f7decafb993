/** Checks around calls, and the calls made on macOS, against a fake C library that only records its
 *  arguments. The contract tests the effect of calls in the kernel. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Unsupported } from "../../../src/errors.ts";
import { type SystemError, systemError } from "../../../src/runtime/libc/errno.ts";
import { makeLibc } from "../../../src/runtime/libc/libc.ts";
import { abiOf } from "../../../src/runtime/libc/abi.ts";
import { type Argument, Caller, type RawLibc } from "../../../src/runtime/libc/call.ts";

type Answer = (name: string, args: Argument[]) => number | bigint;

/** A library that returns 0 or the value of `answer`, and records each call with its arguments. */
function recorder(platform: string, arch: string, answer: Answer = () => 0, errno = 0) {
  const abi = abiOf(platform, arch);
  const calls: (string | number)[][] = [];
  const symbols = Object.fromEntries(
    Object.keys(abi.signatures).map((name) => [name, (...args: Argument[]) => {
      calls.push([name, ...args.filter((arg) => typeof arg === "number")]);
      return answer(name, args);
    }]),
  );
  const raw: RawLibc = { abi, symbols, errno: () => errno, address: () => 4096n };
  return { raw, calls };
}

test("a system without constants is refused by name", () => {
  for (
    const [platform, arch] of [["freebsd", "x64"], ["linux", "ia32"], ["win32", "x64"]] as const
  ) {
    assertThrows(() => abiOf(platform, arch), Unsupported, new RegExp(`${platform} on ${arch}`));
  }
});

test("an error has the name of its number on its own system", () => {
  const text = (errno: number, os: "linux" | "darwin") => systemError("bind", errno, os).message;
  assertStrictEquals(text(98, "linux"), "bind: address already in use (EADDRINUSE)");
  assertStrictEquals(text(48, "darwin"), "bind: address already in use (EADDRINUSE)");
  assertStrictEquals(text(35, "darwin"), "bind: resource temporarily unavailable (EAGAIN)");
  assertStrictEquals(text(4321, "linux"), "bind: unknown error (E4321)");
  assertStrictEquals(text(0, "darwin"), "bind: unknown error (E0)");
});

test("an interrupted call is made again; a close that was interrupted is not", () => {
  let left = 3;
  const twice = recorder("linux", "x64", () => left-- > 0 ? -1n : 5n, 4);
  assertStrictEquals(new Caller(twice.raw).value("sendmsg", 1, new Uint8Array(56), 0), 5);
  assertStrictEquals(twice.calls.length, 4);
  const once = recorder("linux", "x64", () => -1, 4);
  makeLibc(once.raw).close(7);
  assertEquals(once.calls, [["close", 7]]);
});

test("a call that must return 0 fails if it returns something else", () => {
  const { raw } = recorder("linux", "x64", () => 4294967295);
  assertThrows(() => makeLibc(raw).setUid(1), Error, /neither 0 nor -1/);
});

test("a wrong argument never reaches the library", () => {
  const { raw, calls } = recorder("linux", "x64");
  const c = new Caller(raw);
  assertThrows(() => c.once("close"), Error, /no such function with 0 arguments/);
  assertThrows(() => c.once("system", 1), Error, /no such function/);
  assertThrows(() => c.once("setresuid", -1, 0, 0), Error, /argument 1 is not of type u32/);
  assertThrows(() => c.once("bind", 3, 0, 16), Error, /argument 2 is not of type memory/);
  assertThrows(
    () => c.once("read", 3, new Uint8Array(1), -1),
    Error,
    /argument 3 is not of type u64/,
  );
  assertEquals(calls, []);
});

test("on macOS pipes are marked one by one, and arm64 gets its variadic argument on the stack", () => {
  const FD = { out: 5, into: 6 };
  const answer: Answer = (name, args) => {
    const memory = args[0];
    if (name === "pipe" && memory instanceof Uint8Array) memory.set([FD.out, 0, 0, 0, FD.into]);
    return 0;
  };
  const F = { getfd: 1, setfd: 2 };
  for (const [arch, fill] of [["x64", []], ["arm64", [0, 0, 0, 0, 0, 0]]] as const) {
    const { raw, calls } = recorder("darwin", arch, answer);
    assertEquals(makeLibc(raw).pipe(), [FD.out, FD.into]);
    assertEquals(calls, [
      ["pipe"],
      ["fcntl", FD.out, F.getfd, ...fill, 0],
      ["fcntl", FD.out, F.setfd, ...fill, 1],
      ["fcntl", FD.into, F.getfd, ...fill, 0],
      ["fcntl", FD.into, F.setfd, ...fill, 1],
    ]);
  }
});

test("IP options that cannot be dropped cost a connection only if it has some", () => {
  const [enoprotoopt, einval] = [92, 22];
  const sets = (name: string) => name === "setsockopt" ? -1 : 0;
  const has = (bytes: number): Answer => (name, args) => {
    const length = args.at(-1);
    if (name === "getsockopt" && length instanceof Uint8Array) length[0] = bytes;
    return sets(name);
  };
  makeLibc(recorder("linux", "arm64", sets, enoprotoopt).raw).dropIpOptions(3);
  makeLibc(recorder("linux", "x64", has(0), einval).raw).dropIpOptions(3);
  const routed = makeLibc(recorder("linux", "x64", has(12), einval).raw);
  assertThrows(() => routed.dropIpOptions(3), Error, /^setsockopt: .*EINVAL/);
  const unknown = makeLibc(recorder("linux", "x64", () => -1, einval).raw);
  assertThrows(() => unknown.dropIpOptions(3), Error, /getsockopt: .*EINVAL/);
});

test("macOS sets ids with its own calls, and calls of Linux are refused", () => {
  const { raw, calls } = recorder("darwin", "arm64");
  const libc = makeLibc(raw);
  libc.setGroups([20]);
  libc.setGid(20);
  libc.setUid(501);
  assertEquals(calls, [["setgroups", 1], ["setgid", 20], ["setuid", 501]]);
  assertStrictEquals(libc.getIds().suid, undefined);
  assertThrows(() => libc.prctlNoNewPrivs(), Unsupported);
  assertThrows(() => libc.prctlDumpable(false), Unsupported);
});

test("every method finds its symbols on macOS", () => {
  const { raw, calls } = recorder("darwin", "x64", (name) => name === "if_nametoindex" ? 1 : 0);
  const libc = makeLibc(raw);
  const inet = { ip: "::1", port: 1, backlog: 9, reusePort: true } as const;
  const unknownFamily = /family: 0 is neither/;
  assertThrows(() => libc.listenSocket(inet), Error, unknownFamily);
  assertThrows(() => libc.acceptDescriptor(3), Error, unknownFamily);
  assertThrows(() => libc.getpeername(3), Error, unknownFamily);
  libc.interfaceIndex("lo0");
  libc.dropIpOptions(3);
  libc.ipOptions(3);
  libc.setNoDelay(3, true);
  libc.outputQueue(3);
  libc.endOutput(3);
  libc.socketpair("stream");
  libc.dup(3);
  libc.open("/");
  libc.setNonBlocking(3, true);
  libc.read(3, 1);
  libc.write(3, Uint8Array.of(1));
  libc.readAll(3, 1);
  libc.poll(3, 1, 0);
  libc.sendDescriptors(3, Uint8Array.of(1), [4]);
  libc.receiveDescriptors(3, 1, 0);
  libc.raiseFileLimit();
  libc.setLimit("core", 0);
  libc.getGroups();
  libc.chroot("/");
  libc.kill(4, 0);
  assertEquals(calls.slice(0, 4), [
    ["socket", 30, 1, 0],
    ["fcntl", 0, 1, 0],
    ["fcntl", 0, 2, 1],
    ["fcntl", 0, 3, 0],
  ]);
});

test("a failed call is an error with its name", () => {
  const { raw } = recorder("darwin", "x64", () => -1, 48);
  const error = assertThrows(() => makeLibc(raw).listen(3, 1));
  assertStrictEquals((error as SystemError).code, "EADDRINUSE");
});

test("a program is started with the limit of open files from before it was raised", () => {
  let now = [256n, 1024n];
  const at: bigint[] = [];
  const { raw } = recorder("linux", "x64", (name, args) => {
    const limit = args.find((arg) => arg instanceof Uint8Array);
    if (!limit) return 0;
    const view = new DataView(limit.buffer);
    if (name === "getrlimit") now.forEach((n, i) => view.setBigUint64(8 * i, n, true));
    if (name === "setrlimit") now = [0, 8].map((i) => view.getBigUint64(i, true));
    return 0;
  });
  const libc = makeLibc(raw);
  const start = (): string => {
    at.push(now[0] as bigint);
    return "started";
  };
  assertStrictEquals(libc.withFirstFileLimit(start), "started");
  assertEquals(libc.raiseFileLimit(), { soft: 1024, hard: 1024 });
  assertStrictEquals(libc.withFirstFileLimit(start), "started");
  assertEquals(at, [256n, 256n]);
  assertEquals(now, [1024n, 1024n]);
  const fails = (code: string): string => {
    if (start() && now[0] === 256n) throw Object.assign(new Error(code), { code });
    return "started";
  };
  assertStrictEquals(libc.withFirstFileLimit(() => fails("EMFILE")), "started");
  assertThrows(() => libc.withFirstFileLimit(() => fails("ENOENT")), Error, /ENOENT/);
  assertEquals(at.slice(2), [256n, 1024n, 256n]);
  assertEquals(now, [1024n, 1024n]);
});
