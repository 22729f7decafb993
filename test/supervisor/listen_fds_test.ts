/** Sockets from a supervisor, and messages to it: what is accepted, what is refused and why. A script for
 *  Debian's python3 is the supervisor; real ones are in test/interop/handover_test.ts. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
  assertThrows,
  fail,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { literalHost } from "../../src/accept/address.ts";
import { FatalError, Unsupported } from "../../src/errors.ts";
import {
  checkInheritedAddress,
  type InheritedListener,
  inheritedListener,
} from "../../src/supervisor/listen_fds.ts";
import { makeNotifier } from "../../src/supervisor/notify.ts";
import { runFile } from "../runtime/libc/here.ts";
import { notifyReceiver, PYTHON } from "./notify_receiver.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const CHILD = join(ROOT, "test/supervisor/listen_fds_child.ts");

/** Makes descriptor 3 as the first argument says, and executes the command in the other arguments. */
const SUPERVISOR = `import os, socket, sys
kind = sys.argv[1]
def tcp(family, address, only=0):
    s = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind((address, 0))
    return s
if kind == "tcp4": s = tcp(socket.AF_INET, "127.0.0.1"); s.listen()
elif kind == "tcp6": s = tcp(socket.AF_INET6, "::1", 1); s.listen()
elif kind == "both": s = tcp(socket.AF_INET6, "::"); s.listen()
elif kind == "bound": s = tcp(socket.AF_INET, "127.0.0.1")
elif kind == "connected":
    l = tcp(socket.AF_INET, "127.0.0.1"); l.listen()
    c = socket.create_connection(l.getsockname()); s = l.accept()[0]
elif kind == "dgram": s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
elif kind == "unix":
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind("\\0sslserver-test-%d" % os.getpid()); s.listen()
elif kind == "file": s = open("/dev/null")
elif kind == "output": s = os.fdopen(os.dup(1), "w")
else: s = None
if s:
    n = s.fileno()
    if n != 3: os.dup2(n, 3)
    os.set_inheritable(3, True)
elif kind == "none":
    try: os.close(3)
    except OSError: pass
for name, value in os.environ.items():
    if value == "PID": os.environ[name] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])`;

const OURS = { LISTEN_PID: "PID", LISTEN_FDS: "1", LISTEN_FDNAMES: "imaps" };

interface Told {
  inherited: InheritedListener | null;
  pid: number;
  reports: string[];
  three: { closeOnExec: boolean; nonBlocking: boolean } | null;
  message?: string;
  hint?: string;
}

/** The child's report about descriptor 3, and everything that it has printed. */
async function under(
  kind: string,
  env: Record<string, string>,
  ...args: string[]
): Promise<Told & { stdout: string }> {
  const command = [process.execPath, ...runFile(CHILD), ...args];
  const child: ChildProcess = spawn(PYTHON, ["-c", SUPERVISOR, kind, ...command], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout?.on("data", (data: Uint8Array) => stdout += new TextDecoder().decode(data));
  const status = await new Promise((resolve) => child.once("close", resolve));
  assertStrictEquals(status, 0, stdout);
  return { ...JSON.parse(stdout.trim()) as Told, stdout };
}

test("a listening socket is taken over, closed on exec and non-blocking", async () => {
  const { inherited, three } = await under("tcp4", OURS);
  assert(inherited && inherited.port > 0);
  assertEquals(inherited, {
    fd: 3,
    ip: "127.0.0.1",
    port: inherited.port,
    dualStack: false,
    scopeId: 0,
  });
  assertEquals(three, { closeOnExec: true, nonBlocking: true });
});

test("an IPv6 socket says whether IPv4 clients come in", async () => {
  const six = (await under("tcp6", OURS)).inherited;
  assertEquals([six?.ip, six?.dualStack], ["::1", false]);
  const both = (await under("both", OURS)).inherited;
  assertEquals([both?.ip, both?.dualStack], ["::", true]);
});

test("LISTEN_FDS for another process, or empty, is ignored", async () => {
  const envs: Record<string, string>[] = [
    { LISTEN_PID: "1", LISTEN_FDS: "1" },
    { LISTEN_FDS: "1" },
    { LISTEN_PID: "PID" },
    { LISTEN_PID: "PID", LISTEN_FDS: "0" },
  ];
  for (const env of envs) assertStrictEquals((await under("tcp4", env)).inherited, null);
});

test("every other descriptor is refused, with the reason and the remedy", async () => {
  const rows: [string, RegExp, RegExp][] = [
    ["dgram", /: it is not a stream socket$/, /ListenStream=/],
    ["bound", /: it does not listen; perhaps it is a connection$/, /Accept=no/],
    ["connected", /: it does not listen; perhaps it is a connection$/, /Accept=no/],
    ["unix", /: sockaddr: family: 1 is neither IPv4 nor IPv6 at byte 0$/, /ListenStream=/],
    ["file", /: getsockopt: not a socket \(ENOTSOCK\)$/, /ListenStream=/],
    // No socket was passed: the number is unused, or the runtime has opened it for itself.
    ["none", /: getsockopt: (?:not a socket|bad file descriptor) \(E\w+\)$/, /ListenStream=/],
  ];
  for (const [kind, message, hint] of rows) {
    const told = await under(kind, OURS);
    assertMatch(told.message ?? "", /^unable to use the socket of \$LISTEN_FDS: /, kind);
    assertMatch(told.message ?? "", message, kind);
    assertMatch(told.hint ?? "", hint, kind);
  }
});

test("several sockets, or no number of them, are refused", async () => {
  const two = await under("tcp4", { ...OURS, LISTEN_FDS: "2", LISTEN_FDNAMES: "imaps:smtps" });
  assertStrictEquals(
    two.message,
    "unable to use $LISTEN_FDS: 2 descriptors (imaps:smtps), but only one is supported",
  );
  for (const text of ["x", "-1", "1 ", "99999999"]) {
    const { message } = await under("tcp4", { ...OURS, LISTEN_FDS: text });
    assertStrictEquals(message, `unable to use $LISTEN_FDS: '${text}' is not a number`);
  }
});

test("descriptor 3 cannot be the socket and the key's password at once", async () => {
  const { message, hint } = await under("tcp4", OURS, "password");
  assertStrictEquals(
    message,
    "unable to read the key's password from descriptor 3: the socket of $LISTEN_FDS is there",
  );
  assertMatch(hint ?? "", /without a password/);
});

/** One row: host, port, the inherited socket, and the error about both; absent: they are compatible. */
const OPERANDS: readonly [string, number, Partial<InheritedListener>, string?][] = [
  ["0", 993, { ip: "0.0.0.0" }],
  ["0", 0, { ip: "0.0.0.0" }],
  ["0", 993, { ip: "192.0.2.1" }],
  [":0", 993, { ip: "::", dualStack: true }],
  [":0", 993, { ip: "0.0.0.0" }],
  [":0", 993, { ip: "2001:db8::1" }],
  ["::", 993, { ip: "::" }],
  ["::", 993, { ip: "2001:db8::1", dualStack: true }],
  ["192.0.2.1", 993, { ip: "192.0.2.1" }],
  ["2001:0db8::0001", 993, { ip: "2001:db8::1" }],
  ["0", 993, { ip: "::", dualStack: true }, "0.0.0.0 port 993 is on :: (and IPv4) port 993"],
  ["0", 993, { ip: "2001:db8::1" }, "0.0.0.0 port 993 is on 2001:db8::1 port 993"],
  ["::", 993, { ip: "::", dualStack: true }, ":: port 993 is on :: (and IPv4) port 993"],
  ["::", 993, { ip: "0.0.0.0" }, ":: port 993 is on 0.0.0.0 port 993"],
  ["192.0.2.1", 993, { ip: "0.0.0.0" }, "192.0.2.1 port 993 is on 0.0.0.0 port 993"],
  ["192.0.2.1", 993, { ip: "192.0.2.2" }, "192.0.2.1 port 993 is on 192.0.2.2 port 993"],
  ["0", 465, { ip: "0.0.0.0" }, "0.0.0.0 port 465 is on 0.0.0.0 port 993"],
  [":0", 465, { ip: "0.0.0.0" }, ":: (and IPv4) port 465 is on 0.0.0.0 port 993"],
];

test("host and port must describe the socket that is inherited", () => {
  for (const [host, port, socket, wrong] of OPERANDS) {
    const inherited = { fd: 3, ip: "", port: 993, dualStack: false, scopeId: 0, ...socket };
    const where = literalHost(host) ?? fail();
    const address = { ...where, port, interface: undefined, backlog: 1 };
    const check = (): void =>
      checkInheritedAddress(inherited, address, { interfaceIndex: () => 0 });
    if (wrong === undefined) {
      check();
      continue;
    }
    const message = `unable to listen on ${
      wrong.replace(" is on ", ": the socket of $LISTEN_FDS is on ")
    }`;
    const error = assertThrows(check, FatalError);
    assertStrictEquals(error.message, message, wrong);
  }
});

test("-I must name the interface of the socket that is inherited", () => {
  const inherited = { fd: 3, ip: "fe80::1", port: 25, dualStack: false, scopeId: 2 };
  const address = { ip: "fe80::1", dualStack: false, port: 25, interface: "eth0", backlog: 1 };
  checkInheritedAddress(inherited, address, { interfaceIndex: () => 2 });
  assertThrows(
    () => checkInheritedAddress(inherited, address, { interfaceIndex: () => 3 }),
    Error,
    /\(-I eth0\)/,
  );
});

test("the supervisor is notified when the server is ready, reloads and stops", async () => {
  const folder = mkdtempSync(join(tmpdir(), "handover-"));
  try {
    const path = join(folder, "notify");
    const receiver = await notifyReceiver(path, 4);
    const { pid, reports } = await under("tcp4", { ...OURS, NOTIFY_SOCKET: path }, "tell");
    const [ready, reloading, again, stopping] = await receiver.words(4);
    assertStrictEquals(ready, `READY=1\nMAINPID=${pid}\nSTATUS=two?lines`);
    assertMatch(reloading ?? "", /^RELOADING=1\nMONOTONIC_USEC=[0-9]{6,}$/);
    assertStrictEquals(again, `READY=1\nMAINPID=${pid}`);
    assertStrictEquals(stopping, "STOPPING=1\nSTATUS=waiting for 2 connections");
    assertEquals(reports, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the supervisor is notified even if its socket's path is out of reach", async () => {
  const folder = mkdtempSync(join(tmpdir(), "handover-"));
  try {
    const path = join(folder, "notify");
    const receiver = await notifyReceiver(path, 4);
    const { reports } = await under("none", { NOTIFY_SOCKET: path }, "hidden");
    assertMatch((await receiver.words(4)).join(), /^READY=1\n.*STOPPING=1\n/s);
    assertEquals(reports, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("an exited supervisor is reported, and the server goes on", async () => {
  const { reports } = await under("none", { NOTIFY_SOCKET: "/nowhere/notify" }, "tell");
  const line = "unable to write to $NOTIFY_SOCKET: connect: no such file or directory (ENOENT)";
  assertEquals(reports, [line]);
});

test("a NOTIFY_SOCKET that cannot be written to stops the start", async () => {
  const { message } = await under("none", { NOTIFY_SOCKET: "relative" });
  assertMatch(message ?? "", /^unable to use \$NOTIFY_SOCKET: 'relative' is not an absolute path/);
});

test("--notify-fd gets one newline and is closed", async () => {
  const { stdout, reports, three } = await under("output", {}, "tell", "3");
  assertMatch(stdout, /^\n\{.*\}\n$/);
  assertEquals([reports, three], [[], null]);
});

test("before the newline the descriptor is closed on exec", async () => {
  assertStrictEquals((await under("output", {}, "wait", "3")).three?.closeOnExec, true);
});

test("a descriptor for --notify-fd that takes no newline is refused at start", async () => {
  const rows: [string, Record<string, string>, string[], RegExp][] = [
    ["none", {}, ["tell", "3"], /^write: (?:bad file descriptor|invalid argument) \(E\w+\)$/],
    ["none", {}, ["tell", "900"], /^write: bad file descriptor \(EBADF\)$/],
    ["file", {}, ["tell", "3"], /^write: bad file descriptor \(EBADF\)$/],
    ["tcp4", OURS, ["tell", "3"], /^the socket of \$LISTEN_FDS is there$/],
    ["output", {}, ["password", "3"], /^-3 reads the key's password there$/],
  ];
  for (const [kind, env, args, cause] of rows) {
    const { message = "", hint } = await under(kind, env, ...args);
    const start = `unable to use descriptor ${args[1]} for --notify-fd: `;
    assert(message.startsWith(start), `${kind}: ${message}`);
    assertMatch(message.slice(start.length), cause);
    assert(hint);
  }
});

test("without libc the start ends, naming runtime and remedy", () => {
  const deno = { name: "Deno", libc: undefined } as const;
  const none = { keyPassword: false, notifyFd: undefined };
  const tries: (() => unknown)[] = [
    () => inheritedListener({ LISTEN_PID: String(process.pid), LISTEN_FDS: "1" }, deno, none),
    () => makeNotifier({ NOTIFY_SOCKET: "@x" }, deno, none, undefined, fail),
    () => makeNotifier({}, deno, { ...none, notifyFd: 4 }, undefined, fail),
  ];
  for (const attempt of tries) {
    const error = assertThrows(attempt, Unsupported, /Deno without FFI cannot$/);
    assert(error.hint === "allow FFI: deno run --allow-ffi");
  }
  const tell = makeNotifier({}, deno, none, undefined, fail);
  tell.ready("nobody hears it");
  tell.reloading();
  tell.stopping();
});

test("sslserver(1) has every error about supervisors", () => {
  const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
  const page = read("man/text/sslserver.1.txt").replaceAll(/\s+/g, " ");
  const found = ["src/supervisor/listen_fds.ts", "src/supervisor/notify.ts"].flatMap((file) =>
    [...read(file).matchAll(/["`](unable to [^"`]*)/g)].map(([, text = ""]) =>
      text.replace(/\$\{.*|[:(].*/s, "").trim()
    )
  );
  assert(found.length > 6);
  assertEquals(found.filter((text) => !page.includes(text)), []);
});
