/** Attempts of a compromised worker, each with its required result. Calls that must end the process are
 *  in sandbox_test.ts. */

import process from "node:process";
import { NUMBERS, type RawSyscall } from "./raw_syscall.ts";

/** The descriptors that a worker holds, and the other processes. */
export interface Held {
  readonly raw: RawSyscall;
  /** The listening socket, which other workers share. */
  readonly listener: number;
  /** One end of a pair of Unix stream sockets, like the one to the monitor. */
  readonly control: number;
  /** The pids of the monitor, and of another process of the same user. */
  readonly monitor: number;
  readonly sibling: number;
  /** The folder of --files, if the worker has one. */
  readonly folder?: number | undefined;
}

export const ERRNO = {
  done: 0,
  EPERM: 1,
  EACCES: 13,
  EINVAL: 22,
  ENOSYS: 38,
  ENOPROTOOPT: 92,
  EAFNOSUPPORT: 97,
  EISCONN: 106,
} as const;

export type Row = readonly [what: string, outcome: keyof typeof ERRNO, go: (h: Held) => number];

const POINTER = 4096;
const X32 = 0x40000000;

function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(Math.max(values.length, 64))).fill(0).map((_, i) =>
    values[i] ?? 0
  );
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return bytes(...new TextEncoder().encode(value));
}

/** The uid and gid of the worker and its sibling if root runs the test. */
export const NOBODY = 65_534;

/** The bytes of a struct sockaddr_un with an abstract name. */
const NAME = new TextEncoder().encode(`hostile-${process.pid}`);
export const ABSTRACT = bytes(1, 0, 0, ...NAME);
export const ABSTRACT_LENGTH = 3 + NAME.length;

/** Calls whose arguments are plain numbers. */
function calls(outcome: Row[1], lines: string): Row[] {
  return lines.trim().split("\n").map((line): Row => {
    const [name = "", ...args] = line.trim().split(" ");
    return [line.trim(), outcome, ({ raw }) => raw(name, ...args.map(Number))];
  });
}

/** Calls of later kernels that have no name in our table. */
const NAMELESS: Row[] = [451, 452, 453, 457, 458, 459, 460, 462, 463, 467, 468, 999].map((nr) => [
  `call number ${nr}`,
  "ENOSYS",
  ({ raw }) => raw(nr, POINTER, POINTER, POINTER, 0),
]);

const X32_CALLS: Row[] = [39, 520, 521, 2].map((nr) => [
  `x32 call ${nr}`,
  "ENOSYS",
  ({ raw }) => raw(X32 + nr, POINTER, 0, 0),
]);

/** Socket options, as level and option. Each would affect every worker, and outlive this one. */
const OPTIONS: Row[] = Object.entries({
  IP_MINTTL: [0, 21],
  IP_TOS: [0, 1],
  IP_TRANSPARENT: [0, 19],
  SO_REUSEADDR: [1, 2],
  SO_RCVBUF: [1, 8],
  SO_REUSEPORT: [1, 15],
  SO_BINDTODEVICE: [1, 25],
  SO_ATTACH_FILTER: [1, 26],
  SO_MARK: [1, 36],
  SO_LOCK_FILTER: [1, 44],
  SO_ATTACH_BPF: [1, 50],
  SO_ATTACH_REUSEPORT_CBPF: [1, 51],
  TCP_MAXSEG: [6, 2],
  TCP_CORK: [6, 3],
  TCP_DEFER_ACCEPT: [6, 9],
  TCP_MD5SIG: [6, 14],
  TCP_ULP: [6, 31],
  IPV6_V6ONLY: [41, 26],
  IPV6_MINHOPCOUNT: [41, 73],
}).map(([name, [level = 0, option = 0]]) => [
  `setsockopt ${name} of the listening socket`,
  "ENOPROTOOPT",
  ({ raw, listener }) => raw("setsockopt", listener, level, option, bytes(65), 4),
]);

const SOCKETS: Row[] = Object.entries({
  "unix stream": [1, 1, 0],
  "unix datagram": [1, 2, 0],
  "unix seqpacket": [1, 5, 0],
  netlink: [16, 3, 0],
  packet: [17, 3, 0],
  alg: [38, 5, 0],
  vsock: [40, 1, 0],
  raw: [2, 3, 1],
  sctp: [2, 1, 132],
  mptcp: [2, 1, 262],
}).map(([name, args]) => [`socket ${name}`, "EAFNOSUPPORT", ({ raw }) => raw("socket", ...args)]);

const PAIRS: Row[] = [1, 2, 5].map((type) => [
  `socketpair of type ${type}`,
  "EAFNOSUPPORT",
  ({ raw }) => raw("socketpair", 1, type, 0, bytes()),
]);

/** Attempts to direct the socket to the monitor to another socket. */
const UNIX: Row[] = [
  [
    "sendto another socket",
    "EISCONN",
    ({ raw, control }) => raw("sendto", control, bytes(1), 1, 0, ABSTRACT, ABSTRACT_LENGTH),
  ],
  [
    "connect to another socket",
    "EISCONN",
    ({ raw, control }) => raw("connect", control, ABSTRACT, ABSTRACT_LENGTH),
  ],
  ["listen on it", "EINVAL", ({ raw, control }) => raw("listen", control, 1)],
];

function towards(who: "monitor" | "sibling"): Row[] {
  const row = (what: string, outcome: Row[1], name: string, ...args: number[]): Row => [
    `${what} ${who}`,
    outcome,
    (held) => held.raw(name, held[who], ...args),
  ];
  return [
    row("signal", "EPERM", "kill", 0),
    row("signal a thread of", "EPERM", "tgkill", 0),
    row("tkill", "EPERM", "tkill", 0),
    row("queue a signal for", "EPERM", "rt_sigqueueinfo", 0, POINTER),
    row("pidfd_open", "EPERM", "pidfd_open", 0),
    row("read memory of", "ENOSYS", "process_vm_readv", POINTER, 1, POINTER, 1, 0),
    row("limit", "EPERM", "prlimit64", 7, POINTER, 0),
    row("read limits of", "EPERM", "prlimit64", 7, 0, POINTER),
    row("compare with", "EPERM", "kcmp", process.pid, 0, 0, 0),
    row("find the locks of", "ENOSYS", "get_robust_list", POINTER, POINTER),
    row("move pages of", "ENOSYS", "move_pages", 0, 0, 0, 0, 0),
    row("bind to a processor", "EPERM", "sched_setaffinity", 8, POINTER),
    row("schedule", "EPERM", "sched_setscheduler", 0, POINTER),
    [
      `own descriptors for ${who}`,
      "EINVAL",
      ({ raw, listener, [who]: pid }) => raw("fcntl", listener, 8, pid),
    ],
    ...["mem", "environ", "maps", "fd/0", "root/etc/passwd", "cwd/x", "auxv"].map((
      name,
    ): Row => [
      `open ${name} of ${who}`,
      "EACCES",
      (held) => held.raw("openat", -100, text(`/proc/${held[who]}/${name}`), 0),
    ]),
  ];
}

const WITH_ADDRESS: Row[] = [
  ["open for writing", "EACCES", ({ raw }) => raw("openat", -100, text("/dev/null"), 1)],
  ["open with O_TRUNC", "EACCES", ({ raw }) => raw("openat", -100, text("/dev/null"), 0x200)],
  [
    "bind the listening socket again",
    "EINVAL",
    ({ raw, listener }) => raw("bind", listener, bytes(2), 16),
  ],
];

const PATH_ONLY = 0x200000;

/** struct open_how: flags, mode, resolve (all zero). */
const NO_LIMITS = bytes();

/** Attempts to leave the folder of --files, which has `file` and the link `out`. Beside it is `secret`,
 *  which the worker's user may read. */
const FOLDER_ROWS: readonly Row[] = [
  [
    "a file below the folder",
    "done",
    ({ raw, folder = -1 }) => raw("openat", folder, text("file"), 0),
  ],
  [
    "it, with openat2",
    "done",
    ({ raw, folder = -1 }) => raw("openat2", folder, text("file"), NO_LIMITS, 24),
  ],
  ...["../secret", "out", "/etc/passwd", "/proc/self/environ", "..", "/"].flatMap((path): Row[] => [
    [path, "EACCES", ({ raw, folder = -1 }) => raw("openat", folder, text(path), 0)],
    [
      `${path}, with openat2`,
      "EACCES",
      ({ raw, folder = -1 }) => raw("openat2", folder, text(path), NO_LIMITS, 24),
    ],
  ]),
  [
    "secret, by a descriptor of the parent",
    "EACCES",
    ({ raw, folder = -1 }) => {
      const parent = raw("openat", folder, text(".."), PATH_ONLY);
      return parent < 0 ? parent : raw("openat", parent, text("secret"), 0);
    },
  ],
  [
    "secret, after fchdir",
    "EPERM",
    ({ raw, folder = -1 }) => raw("fchdir", folder),
  ],
  ["file, for writing", "EACCES", ({ raw, folder = -1 }) => raw("openat", folder, text("file"), 1)],
  [
    "a new file",
    "EACCES",
    ({ raw, folder = -1 }) => raw("openat", folder, text("new"), 0o101, 0o644),
  ],
  [
    "a link to secret",
    "EPERM",
    ({ raw, folder = -1 }) => raw("symlinkat", text("../secret"), folder, text("new")),
  ],
];

/** Attempts to damage the listening socket with calls that a worker needs for other sockets. The monitor
 *  repairs it, see monitor_test.ts. These rows come last, because the socket is unusable afterwards. */
const SPOILS: Row[] = [
  ["shorten the queue", "done", ({ raw, listener }) => raw("listen", listener, 0)],
  ["shut the listening socket down", "done", ({ raw, listener }) => raw("shutdown", listener, 2)],
];

/** `beneath`: the worker may use openat2, for --files. */
export const rows = (beneath: boolean): readonly Row[] => [
  ...(beneath ? FOLDER_ROWS : calls("ENOSYS", "openat2 -100 4096 4096 24")),
  ...(process.arch === "x64" ? X32_CALLS : []),
  ...NAMELESS,
  ...calls(
    "ENOSYS",
    `
    io_uring_setup 8 4096
    io_uring_enter 3 1 1 0
    io_uring_register 3 0 0 0
    clone3 4096 88
    memfd_create 4096 0
    memfd_secret 0
    shmget 0 4096 1023
    msgget 0 512
    semget 0 1 512
    mq_open 4096 66 511 0
    inotify_init1 0
    signalfd4 -1 4096 8 0
    timer_create 0 4096 4096
    landlock_create_ruleset 0 0 1
    process_madvise 0 4096 1 4 0
    remap_file_pages 4096 4096 0 0 0
    splice 0 0 1 0 1 0
    vmsplice 1 4096 1 0`,
  ),
  ...calls(
    "EPERM",
    `
    clone 17 0 0 0 0
    clone 268500992 0 0 0 0
    kill 0 0
    kill -1 0
    pidfd_getfd 3 3 0
    pidfd_send_signal 3 9 0 0
    unshare 268435456
    setns 0 0
    mount 0 4096 0 4096 0
    move_mount 0 4096 0 4096 0
    setresuid 0 0 0
    setresgid 0 0 0
    setgroups 0 0
    capset 4096 4096
    chroot 4096
    fchdir 3
    personality 4294967295
    setsid
    setpriority 0 0 -5
    prlimit64 0 7 4096 0
    seccomp 1 0 4096
    bpf 0 4096 64
    perf_event_open 4096 0 -1 -1 0
    userfaultfd 1
    keyctl 0 0
    add_key 4096 4096 4096 1 0
    init_module 4096 0 4096
    ftruncate 2 0
    fallocate 2 0 0 1
    fchmod 2 511
    fchown 2 0 0
    unlinkat -100 4096 0
    mkdirat -100 4096 511
    mknodat -100 4096 511 0
    symlinkat 4096 -100 4096
    ioctl 0 21522 4096
    ioctl 3 35073 4096
    ioctl 3 35074 4096
    ioctl 3 35121 4096`,
  ),
  ...(NUMBERS.has("fork") ? calls("EPERM", "fork\nvfork\nmodify_ldt 0 4096 16\nioperm 0 8 1") : []),
  ...calls(
    "EINVAL",
    `
    prctl 1 9
    prctl 4 1
    prctl 22 2 4096
    prctl 35 1 4096
    prctl 36 1
    prctl 47 2 0
    prctl 1499557217 -1
    fcntl 2 8 1
    fcntl 2 10 9
    fcntl 2 4 8194
    fcntl 2 1024 0
    fcntl 2 1033 15`,
  ),
  ...OPTIONS,
  ...SOCKETS,
  ...PAIRS,
  ...UNIX,
  ...towards("monitor"),
  ...towards("sibling"),
  ...WITH_ADDRESS,
  ...SPOILS,
];
