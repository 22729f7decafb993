/** The contract of both loaders of the C library, against the kernel of this machine. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { type Libc, POLL, SystemError } from "../../../src/runtime/libc/libc.ts";
import { rawSyscall } from "../../privsep/raw_syscall.ts";
import { refuses, runFile } from "./here.ts";

const LOOPBACK = { ip: "127.0.0.1", port: 0, backlog: 16 } as const;
const HERE = dirname(fromFileUrl(import.meta.url));
const isRoot = process.getuid?.() === 0;

function fails(code: string, syscall: string, call: () => unknown): void {
  const error = assertThrows(call, SystemError);
  assertStrictEquals(error.code, code);
  assertStrictEquals(error.syscall, syscall);
  assertMatch(error.message, new RegExp(`^${syscall}: [a-z].*\\(${code}\\)$`));
}

function openFiles(): string[] {
  return readdirSync("/proc/self/fd");
}

function flagsOf(fd: number): { closeOnExec: boolean; nonBlocking: boolean } {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(text)?.[1] ?? "", 8);
  return { closeOnExec: (flags & 0o2000000) !== 0, nonBlocking: (flags & 0o4000) !== 0 };
}

/** Asserts that a program exists. The error names its Debian package. */
function needs(program: string, debianPackage: string): void {
  const found = (process.env["PATH"] ?? "").split(":").some((folder) =>
    existsSync(join(folder, program))
  );
  assert(found, `unable to run ${program}: install the Debian package ${debianPackage}`);
}

/** Triggers the collectors with small garbage for the young generation and large for the old one. */
function makeGarbage(): void {
  let keep: unknown[] = [];
  for (let i = 0; i < 20_000; i++) {
    keep.push(new Uint8Array(64), { i });
    if (keep.length > 2000) keep = [];
  }
  for (let i = 0; i < 8; i++) keep = [new Uint8Array(4 << 20).fill(i)];
}

function must<T>(value: T | undefined): T {
  assertNotStrictEquals(value, undefined);
  return value as T;
}

async function runChild(mode: string): Promise<Record<string, unknown>> {
  const child: ChildProcess = spawn(
    process.execPath,
    [...runFile(join(HERE, "child.ts")), mode],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout?.on("data", (data) => text += data);
  const [status] = await once(child, "close");
  assertStrictEquals(status, 0);
  return JSON.parse(text);
}

/** Connects to a listener. Returns the client and the accepted connection. */
async function connection(libc: Libc, listener: { fd: number; port: number }, host: string) {
  const client = net.connect(listener.port, host);
  client.on("error", () => {});
  await once(client, "connect");
  assertStrictEquals(libc.poll(listener.fd, POLL.in, 5000), POLL.in);
  return { client, accepted: must(libc.acceptDescriptor(listener.fd)) };
}

/** Waits until a connection to `port` is in state SYN_SENT (02 in /proc/net/tcp). */
async function synSent(port: number): Promise<void> {
  const line = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")} 02 `);
  const end = performance.now() + 5000;
  while (!line.test(readFileSync("/proc/net/tcp", "latin1"))) {
    assert(performance.now() < end, "no connection is under way");
    await new Promise((done) => setImmediate(done));
  }
}

/** Registers the tests. */
export function libcContract(libc: Libc): void {
  test("the backlog of a listener is the one asked for, and can be changed", () => {
    needs("ss", "iproute2");
    const { fd, port } = libc.listenSocket({ ...LOOPBACK, backlog: 7 });
    const sendQ = () => {
      const text = execFileSync("ss", ["-Hltn", `sport = :${port}`], { encoding: "latin1" });
      return Number(text.trim().split(/\s+/)[2]);
    };
    try {
      assertStrictEquals(sendQ(), 7);
      libc.listen(fd, 23);
      assertStrictEquals(sendQ(), 23);
    } finally {
      libc.close(fd);
    }
  });

  test("a listener is non-blocking and closed on exec", () => {
    const { fd, port } = libc.listenSocket(LOOPBACK);
    assertEquals(flagsOf(fd), { closeOnExec: true, nonBlocking: true });
    assertStrictEquals(libc.acceptDescriptor(fd), undefined);
    assertEquals(libc.getsockname(fd), { ip: "127.0.0.1", port, family: 4 });
    libc.close(fd);
  });

  test("a port that is taken is EADDRINUSE, a foreign address EADDRNOTAVAIL", () => {
    const first = libc.listenSocket(LOOPBACK);
    const before = openFiles().length;
    fails("EADDRINUSE", "bind", () => libc.listenSocket({ ...LOOPBACK, port: first.port }));
    fails("EADDRNOTAVAIL", "bind", () => libc.listenSocket({ ...LOOPBACK, ip: "192.0.2.1" }));
    assertStrictEquals(openFiles().length, before);
    assertThrows(() => libc.listenSocket({ ...LOOPBACK, ip: "localhost" }), Error, /^ip: /);
    libc.close(first.fd);
  });

  test("a port is free again for a successor while old connections live on", async () => {
    const first = libc.listenSocket(LOOPBACK);
    const { client, accepted } = await connection(libc, first, "127.0.0.1");
    libc.close(first.fd);
    const second = libc.listenSocket({ ...LOOPBACK, port: first.port });
    assertStrictEquals(second.port, first.port);
    client.destroy();
    libc.close(accepted.fd);
    libc.close(second.fd);
  });

  test("a refused client reconnects to the successor, and queued clients are accepted", async () => {
    const first = libc.listenSocket(LOOPBACK);
    const early = net.connect(first.port, "127.0.0.1");
    await once(early, "connect");
    libc.dropNewConnections(first.fd);
    const late = net.connect(first.port, "127.0.0.1");
    await synSent(first.port);
    const accepted = must(libc.acceptDescriptor(first.fd));
    assertStrictEquals(libc.acceptDescriptor(first.fd), undefined);
    libc.close(first.fd);
    const second = libc.listenSocket({ ...LOOPBACK, port: first.port });
    await once(late, "connect");
    const again = must(libc.acceptDescriptor(second.fd));
    assertStrictEquals(again.peer.port, late.localPort);
    for (const one of [early, late]) one.destroy();
    for (const { fd } of [accepted, again, second]) libc.close(fd);
  });

  test("a listening socket that another process has changed is repaired", async () => {
    const raw = await rawSyscall();
    const listener = libc.listenSocket(LOOPBACK);
    const { fd } = listener;
    const at = libc.getsockname(fd);
    const nowhere = new Uint8Array(new ArrayBuffer(16)); // AF_UNSPEC
    for (
      const [spoil, deaf] of [
        [() => {}, false],
        [() => libc.setNonBlocking(fd, false), false],
        [() => raw("listen", fd, 0), false],
        [() => raw("shutdown", fd, 2), true],
        [() => raw("connect", fd, nowhere, nowhere.length), true],
      ] as const
    ) {
      spoil();
      assertStrictEquals(libc.repairListener(fd, 8, at), deaf);
      assertStrictEquals(libc.acceptDescriptor(fd), undefined); // non-blocking
      const { client, accepted } = await connection(libc, listener, "127.0.0.1");
      client.destroy();
      libc.close(accepted.fd);
    }
    libc.close(fd);
  });

  test("two listeners share a port only if both ask for it", () => {
    const first = libc.listenSocket({ ...LOOPBACK, reusePort: true });
    const second = libc.listenSocket({ ...LOOPBACK, port: first.port, reusePort: true });
    fails("EADDRINUSE", "bind", () => libc.listenSocket({ ...LOOPBACK, port: first.port }));
    libc.close(first.fd);
    libc.close(second.fd);
  });

  test("an IPv6 listener accepts IPv4 clients only with dual-stack", async () => {
    const any = { ip: "::", port: 0, backlog: 16 } as const;
    const only = libc.listenSocket(any);
    const refused = net.connect(only.port, "127.0.0.1");
    const [error] = await once(refused, "error");
    assertStrictEquals(error.code, "ECONNREFUSED");
    libc.close(only.fd);

    const both = libc.listenSocket({ ...any, v6only: false });
    const four = await connection(libc, both, "127.0.0.1");
    const six = await connection(libc, both, "::1");
    assertStrictEquals(four.accepted.peer.ip, "::ffff:127.0.0.1");
    assertStrictEquals(four.accepted.peer.port, four.client.localPort);
    assertEquals(libc.getpeername(six.accepted.fd), six.accepted.peer);
    assertEquals<unknown>(six.accepted.peer, { ip: "::1", port: six.client.localPort, family: 6 });
    libc.dropIpOptions(four.accepted.fd);
    libc.dropIpOptions(six.accepted.fd);
    for (const { client, accepted } of [four, six]) {
      client.destroy();
      libc.close(accepted.fd);
    }
    libc.close(both.fd);
  });

  test("an accepted connection is non-blocking, closed on exec, and carries bytes", async () => {
    const listener = libc.listenSocket(LOOPBACK);
    const { client, accepted } = await connection(libc, listener, "127.0.0.1");
    assertEquals(flagsOf(accepted.fd), { closeOnExec: true, nonBlocking: true });
    assertStrictEquals(libc.read(accepted.fd, 10), undefined);
    client.write("hello");
    while (libc.poll(accepted.fd, POLL.in, 0) === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assertEquals(must(libc.read(accepted.fd, 10)), new TextEncoder().encode("hello"));
    libc.setNoDelay(accepted.fd, true);
    libc.setNoDelay(accepted.fd, false);
    client.destroy();
    libc.close(accepted.fd);
    libc.close(listener.fd);
  });

  test("IP options are seen, and dropped", async () => {
    needs("python3", "python3");
    const listener = libc.listenSocket(LOOPBACK);
    const client = spawn("python3", [
      "-c",
      // A timestamp option, because the kernel accepts source routes only if its settings permit them.
      "import socket,sys\n" +
      "s=socket.socket()\n" +
      "s.setsockopt(0,4,bytes([68,12,5,0]+[0]*8))\n" +
      "s.connect(('127.0.0.1',int(sys.argv[1])))\n" +
      "sys.stdin.read()",
      String(listener.port),
    ], { stdio: ["pipe", "inherit", "inherit"] });
    assertStrictEquals(libc.poll(listener.fd, POLL.in, 10_000), POLL.in);
    const { fd } = must(libc.acceptDescriptor(listener.fd));
    assertStrictEquals(libc.ipOptions(fd)[0], 68);
    libc.dropIpOptions(fd);
    assertStrictEquals(libc.ipOptions(fd).length, 0);
    libc.close(fd);
    libc.close(listener.fd);
    client.stdin?.end();
    await once(client, "close");
  });

  test("shutdown ends a socket's output for all holders, and its input goes on", () => {
    const [mine, theirs] = libc.socketpair("stream");
    const copy = libc.dup(mine);
    libc.write(mine, new TextEncoder().encode("last"));
    libc.endOutput(mine);
    assertEquals(libc.readAll(theirs, 10), new TextEncoder().encode("last"));
    libc.write(theirs, Uint8Array.of(1));
    assertEquals([...must(libc.read(copy, 10))], [1]);
    for (const fd of [mine, theirs, copy]) libc.close(fd);
  });

  test("the output queue counts unacknowledged bytes, down to 0", async () => {
    const listener = libc.listenSocket(LOOPBACK);
    const { client, accepted } = await connection(libc, listener, "127.0.0.1");
    assertStrictEquals(libc.outputQueue(accepted.fd), 0);
    client.pause();
    const block = new Uint8Array(65536);
    while (libc.write(accepted.fd, block) !== undefined);
    assert(libc.outputQueue(accepted.fd) > 0);
    client.on("data", () => {});
    client.resume();
    while (libc.outputQueue(accepted.fd) > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.destroy();
    libc.close(accepted.fd);
    libc.close(listener.fd);
  });

  test("interfaces are found by name", () => {
    assertStrictEquals(libc.interfaceIndex("lo"), 1);
    assertStrictEquals(libc.interfaceName(1), "lo");
    assertStrictEquals(libc.interfaceName(0x7fffffff), undefined);
    fails("ENODEV", "if_nametoindex", () => libc.interfaceIndex("nosuchif0"));
    assertThrows(() => libc.interfaceIndex("lo\0x"), Error, /contains a NUL/);
  });

  test("a link-local address needs its interface", () => {
    const address = { ip: "fe80::1", port: 0, backlog: 1 } as const;
    fails("EINVAL", "bind", () => libc.listenSocket(address));
    fails("EADDRNOTAVAIL", "bind", () => libc.listenSocket({ ...address, scopeId: 1 }));
  });

  test("a full blocking pipe refuses at once", () => {
    const page = new Uint8Array(4096);
    const [a, b] = libc.socketpair("stream");
    while (libc.send(a, page) !== undefined);
    assertStrictEquals(libc.send(a, Uint8Array.of(1)), undefined);
    const [out, into] = libc.pipe();
    const [from, to] = libc.pipe();
    let moved = 0;
    for (;;) {
      assertStrictEquals(libc.write(to, page), 4096);
      const now = libc.splice(from, into, 4096);
      if (now === undefined) break;
      moved += now;
    }
    assertStrictEquals(moved, 65_536);
    assertStrictEquals(must(libc.read(out, 4096)).length, 4096);
    assertStrictEquals(libc.splice(from, into, 4096), 4096);
    libc.close(out);
    libc.write(to, page);
    fails("EPIPE", "splice", () => libc.splice(from, into, 4096));
    fails("EINVAL", "splice", () => libc.splice(a, b, 4096)); // neither descriptor is a pipe
    for (const fd of [a, b, into, from, to]) libc.close(fd);
  });

  test("a separate opening does not make other descriptors non-blocking", () => {
    const [out, into] = libc.pipe();
    const own = libc.openToWrite(`/proc/self/fd/${into}`);
    assertEquals(flagsOf(own), { closeOnExec: true, nonBlocking: true });
    assertStrictEquals(flagsOf(into).nonBlocking, false);
    while (libc.write(own, new Uint8Array(4096)) !== undefined);
    for (const fd of [out, into, own]) libc.close(fd);
    fails("ENOENT", "open", () => libc.openToWrite("/nowhere"));
  });

  test("open descriptors are counted, with a low limit too", () => {
    const more = [...libc.pipe(), ...libc.pipe(), ...libc.pipe()];
    const listed = (limit: number): number =>
      openFiles().filter((fd) => Number(fd) < limit).length - 1; // minus the descriptor of readdir
    assertStrictEquals(libc.openDescriptors(), listed(1024));
    const { soft, hard } = libc.raiseFileLimit();
    execFileSync("prlimit", [`--pid=${process.pid}`, `--nofile=200:${hard}`]);
    try {
      assertStrictEquals(libc.openDescriptors(), listed(200));
    } finally {
      execFileSync("prlimit", [`--pid=${process.pid}`, `--nofile=${soft}:${hard}`]);
    }
    more.forEach((fd) => libc.close(fd));
  });

  test("pollAll returns the descriptors with data or an end", () => {
    const [one, intoOne] = libc.pipe();
    const [two, intoTwo] = libc.pipe();
    assertEquals(libc.pollAll([one, two], 0), []);
    libc.write(intoTwo, Uint8Array.of(1));
    assertEquals(libc.pollAll([one, two], -1), [two]);
    libc.close(intoOne);
    assertEquals(libc.pollAll([one, two], -1), [one, two]);
    assertEquals(libc.pollAll([], 1), []);
    for (const fd of [one, two, intoTwo]) libc.close(fd);
  });

  test("a pipe is a pipe, closed on exec, and carries bytes and its end", () => {
    const [out, into] = libc.pipe();
    assert(statSync(`/proc/self/fd/${out}`).isFIFO());
    assert(statSync(`/proc/self/fd/${into}`).isFIFO());
    assertEquals(flagsOf(out), { closeOnExec: true, nonBlocking: false });
    assertStrictEquals(flagsOf(into).closeOnExec, true);
    libc.setNonBlocking(out, true);
    assertEquals(flagsOf(out), { closeOnExec: true, nonBlocking: true });
    assertStrictEquals(libc.read(out, 4), undefined);
    assertStrictEquals(libc.write(into, Uint8Array.of(1, 2, 3).subarray(1)), 2);
    assertStrictEquals(libc.write(into, new Uint8Array(0)), 0);
    assertEquals(must(libc.read(out, 4)), Uint8Array.of(2, 3));
    libc.close(into);
    assertStrictEquals(must(libc.read(out, 4)).length, 0);
    libc.close(out);
  });

  test("a full pipe accepts no data, and a pipe without a reader gives EPIPE", () => {
    const [out, into] = libc.pipe();
    libc.setNonBlocking(into, true);
    const block = new Uint8Array(4096);
    let written = 0;
    for (let n; (n = libc.write(into, block)) !== undefined;) written += n;
    assert(written >= 4096);
    libc.close(out);
    fails("EPIPE", "write", () => libc.write(into, block));
    libc.close(into);
  });

  test("readAll reads to the end, and no more than its cap", () => {
    for (const size of [0, 1, 4095, 4096, 4097, 50_000]) {
      const data = Uint8Array.from({ length: size }, (_, i) => i);
      for (const cap of [size, size + 1, 1 << 20]) {
        const [out, into] = libc.pipe();
        assertStrictEquals(libc.write(into, data), size);
        libc.close(into);
        assertEquals(libc.readAll(out, cap), data);
        libc.close(out);
      }
      if (size === 0) continue;
      const [out, into] = libc.pipe();
      libc.write(into, data);
      libc.close(into);
      assertThrows(() => libc.readAll(out, size - 1), Error, /more than \d+ bytes/);
      libc.close(out);
    }
  });

  test("socket pairs of each type keep or join messages as the type says", () => {
    for (const [type, first] of [["stream", 2], ["dgram", 1], ["seqpacket", 1]] as const) {
      const [a, b] = libc.socketpair(type);
      assertStrictEquals(flagsOf(a).closeOnExec, true);
      libc.write(a, Uint8Array.of(1));
      libc.write(a, Uint8Array.of(2));
      assertStrictEquals(must(libc.read(b, 10)).length, first, type);
      libc.close(a);
      libc.close(b);
    }
  });

  test("closing an unopened descriptor gives EBADF, and other arguments are refused", () => {
    fails("EBADF", "close", () => libc.close(-1));
    fails("EBADF", "read", () => libc.read(-1, 1));
    for (const wrong of [NaN, 1.5, 2 ** 31, undefined as unknown as number]) {
      assertThrows(
        () => libc.close(wrong),
        Error,
        /unable to call close: argument 1 is not of type i32/,
      );
    }
  });

  test("a duplicate is 3 or above, closed on exec, and outlives the first", () => {
    const [out, into] = libc.pipe();
    const copy = libc.dup(into);
    assert(copy >= 3);
    assertStrictEquals(flagsOf(copy).closeOnExec, true);
    libc.setCloseOnExec(copy, false);
    assertStrictEquals(flagsOf(copy).closeOnExec, false);
    libc.close(into);
    libc.write(copy, Uint8Array.of(9));
    assertStrictEquals(must(libc.read(out, 1))[0], 9);
    libc.close(copy);
    libc.close(out);
  });

  test("files open for reading, a FIFO without a writer does not block, errors have names", () => {
    const folder = mkdtempSync(join(tmpdir(), "libc-"));
    try {
      writeFileSync(join(folder, "ü file"), "text");
      const fd = libc.open(join(folder, "ü file"));
      assertEquals(flagsOf(fd), { closeOnExec: true, nonBlocking: false });
      assertStrictEquals(new TextDecoder().decode(libc.readAll(fd, 100)), "text");
      fails("EBADF", "write", () => libc.write(fd, Uint8Array.of(1)));
      libc.close(fd);
      fails("ENOENT", "open", () => libc.open(join(folder, "none")));
      execFileSync("mkfifo", [join(folder, "fifo")]);
      libc.close(libc.open(join(folder, "fifo")));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("names are opened beneath an open folder, without links, and listed if they are few", () => {
    const folder = mkdtempSync(join(tmpdir(), "libc-"));
    try {
      writeFileSync(join(folder, "ü file"), "text");
      mkdirSync(join(folder, "sub"));
      symlinkSync("ü file", join(folder, "link"));
      symlinkSync("sub", join(folder, "sublink"));
      const dir = libc.open(folder);
      const fd = libc.openIn(dir, "ü file") as number;
      assertStrictEquals(flagsOf(fd).closeOnExec, true);
      assertStrictEquals(new TextDecoder().decode(libc.readAll(fd, 100)), "text");
      libc.close(fd);
      libc.close(libc.openIn(dir, "sub", true) as number);
      assertStrictEquals(libc.openIn(dir, "none"), undefined);
      assertStrictEquals(libc.openIn(dir, "none", true), undefined);
      fails("ELOOP", "openat", () => libc.openIn(dir, "link"));
      fails("ENOTDIR", "openat", () => libc.openIn(dir, "sublink", true));
      fails("ENOTDIR", "openat", () => libc.openIn(dir, "ü file", true));
      const linux = process.platform === "linux";
      const names = [...libc.fewNames(dir) ?? []].sort();
      assertEquals(names, linux ? [".", "..", "link", "sub", "sublink", "ü file"] : []);
      libc.close(dir);
      for (let i = 0; i < 300; i++) writeFileSync(join(folder, `name ${i}`), "");
      const full = libc.open(folder);
      assertStrictEquals(libc.fewNames(full), undefined);
      libc.close(full);
      fails("EBADF", "openat", () => libc.openIn(full, "x"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("poll reports data, the timeout and the end of the other side", () => {
    const [out, into] = libc.pipe();
    assertStrictEquals(libc.poll(out, POLL.in, 1), 0);
    assertStrictEquals(libc.poll(into, POLL.out, 1), POLL.out);
    libc.close(into);
    assertStrictEquals(libc.poll(out, POLL.in, 1), POLL.hangUp);
    libc.close(out);
    assertStrictEquals(libc.poll(out, POLL.in, 1), POLL.invalid);
  });

  passing(libc);
  identity(libc);
}

function passing(libc: Libc): void {
  test("descriptors pass both ways many times, through collections, and none leaks", () => {
    for (const type of ["stream", "seqpacket"] as const) {
      const [a, b] = libc.socketpair(type);
      const before = openFiles().length;
      for (let round = 0; round < 3000; round++) {
        const [from, to] = round % 2 ? [a, b] : [b, a];
        const [out, into] = libc.pipe();
        const message = Uint8Array.of(round & 0xff, round >> 8, 7);
        assertStrictEquals(libc.sendDescriptors(from, message, [out, into]), 3);
        libc.close(out);
        libc.close(into);
        const { bytes, fds } = must(libc.receiveDescriptors(to, 100, 2));
        assertEquals(bytes, message);
        const [newOut = -1, newInto = -1] = fds;
        assertStrictEquals(fds.length, 2);
        libc.write(newInto, message);
        assertEquals(must(libc.read(newOut, 100)), message);
        if (round % 500 === 0) {
          assertStrictEquals(flagsOf(newOut).closeOnExec, true);
          makeGarbage();
        }
        libc.close(newOut);
        libc.close(newInto);
      }
      assertStrictEquals(openFiles().length, before);
      libc.close(a);
      libc.close(b);
    }
  });

  test("receiving does not wait, and an end gives no bytes", () => {
    const [a, b] = libc.socketpair("stream");
    assertStrictEquals(libc.receiveDescriptors(b, 10, 1), undefined);
    libc.sendDescriptors(a, Uint8Array.of(5), []);
    assertEquals(libc.receiveDescriptors(b, 10, 1), { bytes: Uint8Array.of(5), fds: [] });
    libc.close(a);
    assertEquals(libc.receiveDescriptors(b, 10, 1), { bytes: new Uint8Array(0), fds: [] });
    libc.close(b);
  });

  test("sending to a full socket sends nothing, to a closed one is EPIPE", () => {
    const [a, b] = libc.socketpair("seqpacket");
    const message = new Uint8Array(8192);
    let sent = 0;
    while (libc.sendDescriptors(a, message, [a]) !== undefined) sent++;
    for (let i = 0; i < sent; i++) {
      const { bytes, fds } = must(libc.receiveDescriptors(b, 8192, 1));
      assertEquals([bytes.length, fds.length], [8192, 1]);
      fds.forEach((fd) => libc.close(fd));
    }
    assertStrictEquals(libc.receiveDescriptors(b, 8192, 1), undefined);
    libc.close(b);
    fails("EPIPE", "sendmsg", () => libc.sendDescriptors(a, message, []));
    libc.close(a);
  });

  test("a socket that refuses descriptors gets the bytes of others", {
    skip: !refuses(libc) && "the system has no SO_PASSRIGHTS",
  }, () => {
    const [a, b] = libc.socketpair("stream");
    try {
      assert(libc.refuseDescriptors(b));
      fails("EPERM", "sendmsg", () => libc.sendDescriptors(a, Uint8Array.of(1), [a]));
      libc.sendDescriptors(a, Uint8Array.of(2), []);
      libc.sendDescriptors(b, Uint8Array.of(3), [b]);
      assertEquals(libc.receiveDescriptors(b, 10, 1)?.bytes, Uint8Array.of(2));
      libc.close(must(libc.receiveDescriptors(a, 10, 1)).fds[0] as number);
    } finally {
      libc.close(a);
      libc.close(b);
    }
  });

  test("one descriptor too many closes all of them", () => {
    for (const [sent, room] of [[2, 1], [3, 2], [1, 0], [4, 1], [253, 252]] as const) {
      const [a, b] = libc.socketpair("seqpacket");
      const before = openFiles().length;
      libc.sendDescriptors(a, Uint8Array.of(1), new Array(sent).fill(a));
      assertThrows(() => libc.receiveDescriptors(b, 10, room), Error, /descriptors were cut off/);
      assertStrictEquals(openFiles().length, before);
      libc.sendDescriptors(a, Uint8Array.of(2), [a]);
      const next = must(libc.receiveDescriptors(b, 10, 1));
      assertStrictEquals(next.bytes[0], 2);
      next.fds.forEach((fd) => libc.close(fd));
      libc.close(a);
      libc.close(b);
    }
  });

  test("a message longer than allowed is refused and its descriptors closed", () => {
    const [a, b] = libc.socketpair("seqpacket");
    const before = openFiles().length;
    libc.sendDescriptors(a, new Uint8Array(11), [a, b]);
    assertThrows(() => libc.receiveDescriptors(b, 10, 4), Error, /longer than 10 bytes/);
    assertStrictEquals(openFiles().length, before);
    libc.close(a);
    libc.close(b);
  });

  test("253 descriptors fit into a message, more do not; limits are checked before", () => {
    const [a, b] = libc.socketpair("seqpacket");
    libc.sendDescriptors(a, new Uint8Array(65536).fill(3), new Array(253).fill(a));
    const { bytes, fds } = must(libc.receiveDescriptors(b, 65536, 253));
    assertEquals([bytes.length, bytes[65535], fds.length], [65536, 3, 253]);
    fds.forEach((fd) => libc.close(fd));
    const one = Uint8Array.of(1);
    assertThrows(() => libc.sendDescriptors(a, one, new Array(254).fill(a)), RangeError);
    assertThrows(() => libc.sendDescriptors(a, new Uint8Array(0), [a]), RangeError);
    assertThrows(() => libc.sendDescriptors(a, new Uint8Array(65537), []), RangeError);
    assertThrows(() => libc.receiveDescriptors(b, 0, 1), RangeError);
    assertThrows(() => libc.receiveDescriptors(b, 10, 254), RangeError);
    fails("EBADF", "sendmsg", () => libc.sendDescriptors(a, one, [-1]));
    fails("ENOTSOCK", "sendmsg", () => {
      const [out, into] = libc.pipe();
      try {
        libc.sendDescriptors(into, one, []);
      } finally {
        libc.close(out);
        libc.close(into);
      }
    });
    libc.close(a);
    libc.close(b);
  });
}

function identity(libc: Libc): void {
  test("ids and groups are those of the process", () => {
    const ids = libc.getIds();
    assertStrictEquals(ids.ruid, process.getuid?.());
    assertStrictEquals(ids.euid, process.geteuid?.());
    assertStrictEquals(ids.egid, process.getegid?.());
    assertEquals(new Set(libc.getGroups()), groupsOf("/proc/self/status"));
  });

  test("-1 and other invalid ids are refused before the call", () => {
    for (const id of [-1, 0xffffffff, 1.5, NaN]) {
      assertThrows(() => libc.setUid(id), RangeError);
      assertThrows(() => libc.setGid(id), RangeError);
      assertThrows(() => libc.setGroups([id]), RangeError);
    }
  });

  test("a signal reaches one process, and never a group of them", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    libc.kill(must(child.pid), 0);
    libc.kill(must(child.pid), 15);
    const [, signal] = await once(child, "close");
    assertStrictEquals(signal, "SIGTERM");
    fails("ESRCH", "kill", () => libc.kill(must(child.pid), 0));
    for (const pid of [0, -1, NaN]) assertThrows(() => libc.kill(pid, 0), RangeError);
  });

  test("limits are set, and the file limit is raised to the hard one", async () => {
    assertEquals(await runChild("limits"), {
      files: ["256", "256"],
      core: ["0", "0"],
      raised: { soft: 256, hard: 256 },
    });
    const { soft, hard } = libc.raiseFileLimit();
    assertStrictEquals(soft, hard);
    const row = /^Max open files +(\d+) +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    assertEquals(row?.slice(1).map(Number), [soft, hard]);
  });

  test("after root is given up, no thread can become root again", {
    skip: !isRoot && "it needs root",
  }, async () => {
    const result = await runChild("drop");
    assertEquals(result["groups"], [4242, 4243]);
    assertEquals(result["ids"], {
      ruid: 65533,
      euid: 65533,
      suid: 65533,
      rgid: 65534,
      egid: 65534,
      sgid: 65534,
    });
    assertEquals(result["back"], {
      setUid: "EPERM",
      setGid: "EPERM",
      setGroups: "EPERM",
      chroot: "EPERM",
    });
    assert((result["uid"] as string[]).length > 1, "the runtime has more than one thread");
    assertEquals([...new Set(result["uid"] as string[])], ["65533 65533 65533 65533"]);
    assertEquals([...new Set(result["gid"] as string[])], ["65534 65534 65534 65534"]);
    assertEquals([...new Set(result["groupsOfThreads"] as string[])], [""]);
    assertEquals([...new Set(result["noNewPrivs"] as string[])], ["1"]);
    assertEquals([result["dumpable"], result["notDumpable"]], [65533, 0]);
  });

  test(
    "a process in a jail sees nothing of the outside",
    { skip: !isRoot && "it needs root" },
    async () => {
      const { folder, outside, above } = await runChild("jail");
      rmSync(String(folder), { recursive: true });
      assertEquals([outside, above], ["ENOENT", "ENOENT"]);
    },
  );
}

function groupsOf(status: string): Set<number> {
  const line = /^Groups:(.*)$/m.exec(readFileSync(status, "latin1"))?.[1] ?? "";
  return new Set(line.trim().split(/\s+/).filter(Boolean).map(Number));
}
