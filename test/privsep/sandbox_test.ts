/** The sandbox of a worker: the results of its filter on both architectures, and what a process of this
 *  runtime can and cannot do inside. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import type { FilterAction } from "../../src/codec/bpf.ts";
import { sandbox, type Sandboxed } from "../../src/privsep/sandbox.ts";
import { syscallNumbers } from "../../src/privsep/syscalls.ts";
import { workerFilter } from "../../src/privsep/worker_filter.ts";
import type { Libc } from "../../src/runtime/libc/libc.ts";
import { run } from "../codec/bpf_machine.ts";
import { runFile } from "../runtime/libc/here.ts";
import { within } from "../runtime/tools.ts";

const HERE = dirname(fromFileUrl(import.meta.url));
const [EPERM, EACCES, EINVAL, ENOSYS, ENOPROTOOPT, EAFNOSUPPORT] = [1, 13, 22, 38, 92, 97];
const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);

/** Action, call and arguments. The action has a value each for `read` and `none` if they differ. */
const TABLE: readonly (readonly [
  FilterAction | { none: FilterAction; read: FilterAction },
  string,
  ...bigint[],
])[] = [
  ["allow", "read"],
  ["allow", "epoll_pwait"],
  ["allow", "accept4"],
  ["allow", "futex"],
  ["allow", "mmap"],
  ["allow", "rt_sigreturn"],
  ["allow", "exit_group"],
  ["kill", "execve"],
  ["kill", "execveat"],
  ["kill", "ptrace"],
  ["kill", "process_vm_writev"],
  [ENOSYS, "process_vm_readv"],
  ["allow", "clone", 0x3d0f00n], // as pthread_create does
  [EPERM, "clone", 17n], // as fork does
  [EPERM, "clone", 0x4111n], // as posix_spawn does: CLONE_VM | CLONE_VFORK | SIGCHLD
  [EPERM, "clone", 0x10010000n], // CLONE_THREAD | CLONE_NEWUSER
  [ENOSYS, "clone3"],
  [EPERM, "fork"],
  [EPERM, "vfork"],
  [EPERM, "unshare"],
  [EPERM, "setns"],
  [EPERM, "mount"],
  [EPERM, "move_mount"],
  [EPERM, "setresuid"],
  [EPERM, "chroot"],
  [EPERM, "fchdir"],
  [EPERM, "finit_module"],
  [EPERM, "kexec_file_load"],
  [EPERM, "keyctl"],
  [EPERM, "bpf"],
  [EPERM, "perf_event_open"],
  [EPERM, "userfaultfd"],
  [EPERM, "seccomp"],
  [EPERM, "pidfd_getfd"],
  [ENOSYS, "io_uring_setup"],
  [ENOSYS, "io_uring_enter"],
  [{ none: EACCES, read: "allow" }, "open", 4096n, 0x80000n],
  [EACCES, "open", 4096n, 1n],
  [{ none: EACCES, read: "allow" }, "openat", 0xffffff9cn, 4096n, 0x80000n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 1n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 2n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 3n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 0x40n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 0x200n],
  [EACCES, "openat", 0xffffff9cn, 4096n, 0x410002n], // O_TMPFILE
  [ENOSYS, "openat2"],
  [EPERM, "creat"],
  [EPERM, "unlinkat"],
  [EPERM, "renameat2"],
  [EPERM, "mkdirat"],
  [EPERM, "fchmodat"],
  [EPERM, "truncate"],
  ["allow", "socket", 2n, 0x80801n, 6n],
  ["allow", "socket", 10n, 0x80802n, 0n],
  [EAFNOSUPPORT, "socket", 1n, 1n, 0n],
  [EAFNOSUPPORT, "socket", 16n, 3n, 0n],
  [EAFNOSUPPORT, "socket", 17n, 3n, 0n],
  [EAFNOSUPPORT, "socket", 2n, 3n, 1n],
  [EAFNOSUPPORT, "socket", 2n, 1n, 262n],
  [EAFNOSUPPORT, "socketpair", 1n, 1n],
  [EAFNOSUPPORT, "socketpair", 1n, 2n], // SOCK_DGRAM: sendto names any receiver
  [EAFNOSUPPORT, "socketpair", 1n, 5n],
  [EAFNOSUPPORT, "socketpair", 30n, 1n],
  ["allow", "setsockopt", 5n, 1n, 13n],
  ["allow", "setsockopt", 5n, 6n, 1n],
  ["allow", "setsockopt", 5n, 0n, 4n],
  ...[
    [0n, 21n], // IP_MINTTL
    [0n, 1n], // IP_TOS, which is SO_DEBUG, TCP_NODELAY at other levels
    [1n, 25n], // SO_BINDTODEVICE
    [1n, 26n], // SO_ATTACH_FILTER
    [1n, 44n], // SO_LOCK_FILTER
    [1n, 50n], // SO_ATTACH_BPF
    [1n, 2n], // SO_REUSEADDR
    [1n, 15n], // SO_REUSEPORT
    [1n, 36n], // SO_MARK
    [1n, 8n], // SO_RCVBUF
    [6n, 14n], // TCP_MD5SIG
    [6n, 31n], // TCP_ULP
    [6n, 9n], // TCP_DEFER_ACCEPT
    [6n, 2n], // TCP_MAXSEG
    [41n, 73n], // IPV6_MINHOPCOUNT
    [41n, 2n],
    [0xffff_ffffn, 2n],
  ].map(([level = 0n, option = 0n]) => [ENOPROTOOPT, "setsockopt", 5n, level, option] as const),
  ["allow", "getsockopt", 5n, 1n, 4n],
  [ENOPROTOOPT, "getsockopt", 5n, 1n, 31n], // SO_PEERSEC
  [ENOPROTOOPT, "getsockopt", 5n, 6n, 35n], // TCP_ZEROCOPY_RECEIVE
  [EPERM, "ftruncate", 5n],
  ["allow", "kill", BigInt(process.pid), 15n],
  [EPERM, "kill", 0n, 15n],
  [EPERM, "kill", 0xffff_ffff_ffff_ffffn, 15n],
  [EPERM, "kill", BigInt(process.ppid), 15n],
  ["allow", "tgkill", BigInt(process.pid), BigInt(process.pid), 30n],
  [EPERM, "tgkill", BigInt(process.ppid), BigInt(process.ppid), 30n],
  [EPERM, "tkill", BigInt(process.ppid), 9n],
  ["allow", "prlimit64", 0n, 7n, 0n, 4096n],
  [EPERM, "prlimit64", 0n, 7n, 0x7fff_0000_0000n, 0n],
  [EPERM, "prlimit64", BigInt(process.ppid), 7n, 0n, 4096n],
  ["allow", "prctl", 15n],
  [EINVAL, "prctl", 4n],
  [EINVAL, "prctl", 0x59616d61n], // PR_SET_PTRACER
  ["allow", "fcntl", 5n, 1n],
  ["allow", "fcntl", 5n, 4n, 0x8802n], // O_RDWR | O_NONBLOCK | O_LARGEFILE
  [EINVAL, "fcntl", 5n, 4n, 0x2802n], // O_ASYNC
  [EINVAL, "fcntl", 5n, 4n, 0x4001n], // O_DIRECT
  [EINVAL, "fcntl", 5n, 8n], // F_SETOWN
  [EINVAL, "fcntl", 5n, 10n], // F_SETSIG
  ["allow", "ioctl", 5n, 0x5421n],
  [EPERM, "ioctl", 0n, 0x5412n], // TIOCSTI
  [EPERM, "ioctl", 0n, 0x8901n], // FIOSETOWN
];

for (const arch of ["x64", "arm64"] as const) {
  test(`${arch}: the filter answers as the policy says`, () => {
    const numbers = syscallNumbers(arch);
    for (const files of ["none", "read"] as const) {
      const program = workerFilter(arch, { files });
      for (const [verdicts, name, ...args] of TABLE) {
        const nr = numbers.get(name);
        if (nr === undefined) continue;
        const verdict = typeof verdicts === "object" ? verdicts[files] : verdicts;
        assertStrictEquals(
          run(program, { nr, args, arch }).action,
          verdict,
          `${files} ${name} ${args}`,
        );
      }
      for (const nr of [999, 0x40000000, 0x4000003b, 0x40000208, 0xffffffff]) {
        assertStrictEquals(run(program, { nr, arch }).action, ENOSYS, `number ${nr}`);
      }
      assertStrictEquals(run(program, { nr: 0, arch: "i386" }).action, "kill");
    }
  });
}

test("without sockets, only the calls for sockets are missing", () => {
  for (const arch of ["x64", "arm64"] as const) {
    const numbers = syscallNumbers(arch);
    const [worker, copier] = [
      workerFilter(arch, { files: "none" }),
      workerFilter(arch, { files: "none", sockets: false }),
    ];
    const changed = [...numbers].filter(([, nr]) => {
      if (nr === undefined) return false;
      const args = [2n, 1n, 0n]; // socket(AF_INET, SOCK_STREAM)
      return run(worker, { nr, args, arch }).action !== run(copier, { nr, args, arch }).action;
    }).map(([name]) => name);
    const gone =
      "socket accept accept4 bind listen connect shutdown recvfrom recvmsg recvmmsg sendto " +
      "sendmsg sendmmsg";
    for (const name of gone.split(" ")) assert(changed.includes(name), `${arch} ${name}`);
    assert(
      changed.every((name) => /^(socket|accept|bind|listen|connect|shut|set|recv|send)/.test(name)),
    );
    for (const name of ["socketpair", "setsockopt"]) {
      const nr = numbers.get(name) ?? 0;
      assertStrictEquals(run(copier, { nr, args: [1n, 1n, 0n], arch }).action, EPERM);
    }
    for (const name of ["read", "write", "poll", "ppoll"]) {
      const nr = numbers.get(name);
      if (nr !== undefined) assertStrictEquals(run(copier, { nr, arch }).action, "allow");
    }
  }
});

test("a traced worker can make pairs of streams, and no other worker can", () => {
  for (const arch of ["x64", "arm64"] as const) {
    const nr = syscallNumbers(arch).get("socketpair") ?? 0;
    const [traced, other] = [true, false].map((pairs) =>
      workerFilter(arch, { files: "none", pairs })
    );
    const CLOEXEC = 0x80000n;
    const rows: [bigint, bigint, number | "allow"][] = [
      [1n, 1n | CLOEXEC, "allow"], // AF_UNIX, SOCK_STREAM
      [1n, 2n, EAFNOSUPPORT], // SOCK_DGRAM
      [1n, 5n, EAFNOSUPPORT], // SOCK_SEQPACKET
      [2n, 1n, EAFNOSUPPORT], // AF_INET
    ];
    for (const [family, type, verdict] of rows) {
      const call = { nr, args: [family, type, 0n], arch };
      assertStrictEquals(run(traced!, call).action, verdict, `${arch} ${family} ${type}`);
      assertStrictEquals(run(other!, call).action, EAFNOSUPPORT);
    }
  }
});

test("every system call that is not listed does not exist", () => {
  const program = workerFilter("x64", { files: "none" });
  const verdicts = [...syscallNumbers("x64").values()].filter((nr) => nr !== undefined).map((nr) =>
    run(program, { nr }).action
  );
  const count = (wanted: FilterAction) => verdicts.filter((verdict) => verdict === wanted).length;
  // This number shows a call that is allowed by mistake: check the calls before you change it.
  assertStrictEquals(count("allow"), 124);
  assertStrictEquals(count("kill"), 4);
});

test("a missing protection is reported with its cause, and nothing is thrown", () => {
  const missing = (what: string) => (): never => {
    throw new Error(`${what}: function not implemented (ENOSYS)`);
  };
  const libc = { landlock: missing("syscall"), seccomp: missing("syscall") } as unknown as Libc;
  const { on, off } = sandbox(libc, { files: "none" });
  assertEquals(on, []);
  if (!onLinux) return assertStrictEquals(off.length, 1);
  return assertEquals(off, [
    "landlock: syscall: function not implemented (ENOSYS)",
    "seccomp: syscall: function not implemented (ENOSYS)",
  ]);
});

interface Report {
  result: Sandboxed;
  here: Record<string, string>;
  elsewhere: Record<string, string>;
  spawn: Record<string, string>;
  raw: Record<string, number>;
  sockets: Record<string, number>;
  works: unknown;
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [...runFile(join(HERE, "sandbox_child.ts")), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, SANDBOX_CHILD: "1" },
  });
  let text = "";
  child.stdout.on("data", (data) => text += data);
  const line = new Promise<string>((done) => {
    child.stdout.on("data", () => text.includes("\n") && done(text));
    child.stdout.on("end", () => done(text));
  });
  return { child, line, closed: once(child, "close") };
}

/** One field of the status of every thread. */
function ofThreads(pid: number, field: string): string[] {
  return fs.readdirSync(`/proc/${pid}/task`).map((tid) => {
    const status = fs.readFileSync(`/proc/${pid}/task/${tid}/status`, "latin1");
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
  });
}

const all = (found: Record<string, unknown>, value: unknown) =>
  Object.fromEntries(Object.keys(found).map((name) => [name, value]));

for (const place of ["plain", "jail"] as const) {
  for (const files of ["none", "read"] as const) {
    const skip = (!onLinux && "there is no seccomp") ||
      (place === "jail" && !isRoot && "it needs root");
    test(
      `inside (${place}, files: ${files}) a worker works and an intruder does not`,
      { skip },
      async () => {
        const folder = fs.mkdtempSync(join(tmpdir(), "sandbox-"));
        fs.chmodSync(folder, 0o777); // so that only the sandbox can refuse
        fs.writeFileSync(join(folder, "secret"), "secret");
        fs.chmodSync(join(folder, "secret"), 0o666);
        const { child, line, closed } = start("work", files, folder, place);
        try {
          const text = await within(line, "report", 60_000);
          const pid = child.pid ?? 0;
          const seccomp = ofThreads(pid, "Seccomp");
          assert(seccomp.length > 2, "there are several threads");
          assertEquals(seccomp, seccomp.map(() => "2"));
          assertEquals(ofThreads(pid, "NoNewPrivs"), seccomp.map(() => "1"));
          child.stdin.end();
          assertEquals(await closed, [0, null]);
          check(JSON.parse(text), files);
          assertEquals(fs.readdirSync(folder), ["secret"]);
          assertStrictEquals(fs.readFileSync(join(folder, "secret"), "utf8"), "secret");
        } finally {
          child.kill("SIGKILL");
          fs.rmSync(folder, { recursive: true });
        }
      },
    );
  }
}

function check(report: Report, files: "none" | "read"): void {
  const { result, here, elsewhere, spawn, raw, sockets, works } = report;
  assert(result.on.includes("seccomp: all threads"), result.off.join());
  const read = files === "read" ? "none" : "EACCES";
  const changes = { unlink: "EPERM", rename: "EPERM", mkdir: "EPERM" };
  const both = { read, write: "EACCES", create: "EACCES", ...changes };
  const more = { append: "EACCES", list: read, link: "EPERM", symlink: "EPERM", chmod: "EPERM" };
  assertEquals(here, { ...both, ...more });
  assertEquals(elsewhere, both);
  // Deno looks up the program before it starts it.
  assertMatch(spawn["runtime"] ?? "", /^(?:EPERM|EACCES|ENOENT|EAFNOSUPPORT)$/);
  assertStrictEquals(spawn["libc"], "EPERM");
  const exceptions = {
    clone3: -ENOSYS,
    process_vm_readv: -ENOSYS,
    io_uring_setup: -ENOSYS,
    memfd_secret: -ENOSYS,
    openat: -EACCES,
    openat2: -ENOSYS,
    prctl: -EINVAL,
    fcntl: -EINVAL,
  };
  assertEquals(raw, { ...all(raw, -EPERM), ...exceptions });
  assertEquals(sockets, all(sockets, -EAFNOSUPPORT));
  assertEquals(works, {
    tls: 30,
    udp: 50,
    fromAddress: "127.0.0.2",
    timers: 3000,
    signal: true,
    collections: 2,
    hot: 40,
    crypto: "true 64 8",
    pool: 64,
    pipes: "from the program, to the program",
    resumed: 3,
  });
}

const DEADLY = ["execve", "execveat", "ptrace", "process_vm_writev"];
const elsewhere = "Bun" in globalThis ? [] : ["elsewhere:execve", "elsewhere:ptrace"];
for (const call of [...DEADLY, ...elsewhere]) {
  test(`${call} ends the process`, { skip: !onLinux && "there is no seccomp" }, async () => {
    const { line, closed } = start("die", call);
    assertEquals(await within(closed, "end"), [null, "SIGSYS"]);
    assertStrictEquals(await line, "");
  });
}
