/** The C libraries: names of the files, symbols with exact C types, constants. Data only; call.ts
 *  uses it for calls. Supported are Linux (glibc, musl) and macOS, each on x64 and arm64. Types
 *  must be exact: an int read as a 64-bit number turns −1 into 4294967295, so that failures are not
 *  noticed. */

import { Unsupported } from "../../errors.ts";

/** C types: int, unsigned, long/ssize_t, size_t/unsigned long, pointer to memory of ours. */
export type ArgumentType = "i32" | "u32" | "i64" | "u64" | "memory";

/** A C function. `pointer` is returned by the errno function only. */
export interface Signature {
  readonly args: readonly ArgumentType[];
  readonly returns: "i32" | "u32" | "i64" | "pointer";
}

/** Constants whose values differ between systems; 0 where a flag does not exist. */
export interface Constants {
  readonly SOL_SOCKET: number;
  readonly SO_REUSEADDR: number;
  readonly SO_REUSEPORT: number;
  readonly IPV6_V6ONLY: number;
  readonly IP_OPTIONS: number;
  readonly O_NONBLOCK: number;
  readonly O_CLOEXEC: number;
  readonly O_NOCTTY: number;
  readonly O_NOFOLLOW: number;
  readonly O_DIRECTORY: number;
  readonly F_DUPFD_CLOEXEC: number;
  readonly MSG_DONTWAIT: number;
  readonly MSG_NOSIGNAL: number;
  readonly MSG_CMSG_CLOEXEC: number;
  readonly MSG_TRUNC: number;
  readonly MSG_CTRUNC: number;
  readonly RLIMIT_NOFILE: number;
}

/** One system on one machine. */
export interface Abi {
  readonly os: "linux" | "darwin";
  /** Name of the library, for the loader. */
  readonly library: string;
  readonly signatures: Readonly<Record<string, Signature>>;
  /** The function that returns where errno is. */
  readonly errnoSymbol: string;
  readonly constants: Constants;
  /** Numbers of calls that the library has no function for (Linux). */
  readonly seccomp: number;
  readonly getdents64: number;
  /** For beneath.ts: the number of fstat(2), and the offset of the mode in struct stat (Linux). */
  readonly files: Readonly<Record<"fstat" | "statMode", number>>;
  /** Filler before the first variadic argument, see `fcntl` below. */
  readonly variadicFill: number;
}

const LINUX: Omit<Constants, "O_NOFOLLOW" | "O_DIRECTORY"> = {
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_REUSEPORT: 15,
  IPV6_V6ONLY: 26,
  IP_OPTIONS: 4,
  O_NONBLOCK: 0x800,
  O_CLOEXEC: 0x80000,
  O_NOCTTY: 0x100,
  F_DUPFD_CLOEXEC: 1030,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  MSG_CMSG_CLOEXEC: 0x40000000,
  MSG_TRUNC: 0x20,
  MSG_CTRUNC: 0x8,
  RLIMIT_NOFILE: 7,
};

/** Numbers of the Landlock calls, the same on all machines (Linux). */
export const LANDLOCK = { createRuleset: 444, addRule: 445, restrictSelf: 446 } as const;

const DARWIN: Constants = {
  SOL_SOCKET: 0xffff,
  SO_REUSEADDR: 4,
  SO_REUSEPORT: 0x200,
  IPV6_V6ONLY: 27,
  IP_OPTIONS: 1,
  O_NONBLOCK: 0x4,
  O_CLOEXEC: 0x1000000,
  O_NOCTTY: 0x20000,
  O_NOFOLLOW: 0x100,
  O_DIRECTORY: 0x100000,
  F_DUPFD_CLOEXEC: 67,
  MSG_DONTWAIT: 0x80,
  MSG_NOSIGNAL: 0, // the runtimes ignore SIGPIPE
  MSG_CMSG_CLOEXEC: 0, // set by fcntl afterwards
  MSG_TRUNC: 0x10,
  MSG_CTRUNC: 0x20,
  RLIMIT_NOFILE: 8,
};

function f(returns: Signature["returns"], ...args: ArgumentType[]): Signature {
  return { returns, args };
}

const COMMON: Record<string, Signature> = {
  socket: f("i32", "i32", "i32", "i32"),
  bind: f("i32", "i32", "memory", "u32"),
  listen: f("i32", "i32", "i32"),
  setsockopt: f("i32", "i32", "i32", "i32", "memory", "u32"),
  getsockopt: f("i32", "i32", "i32", "i32", "memory", "memory"),
  getsockname: f("i32", "i32", "memory", "memory"),
  getpeername: f("i32", "i32", "memory", "memory"),
  if_nametoindex: f("u32", "memory"),
  if_indextoname: f("i64", "u32", "memory"), // the memory's address, or NULL
  socketpair: f("i32", "i32", "i32", "i32", "memory"),
  sendmsg: f("i64", "i32", "memory", "i32"),
  recv: f("i64", "i32", "memory", "u64", "i32"),
  recvmsg: f("i64", "i32", "memory", "i32"),
  send: f("i64", "i32", "memory", "u64", "i32"),
  connect: f("i32", "i32", "memory", "u32"),
  shutdown: f("i32", "i32", "i32"),
  // Variadic in C, but without O_CREAT there is no third argument.
  open: f("i32", "memory", "i32"),
  openat: f("i32", "i32", "memory", "i32"),
  close: f("i32", "i32"),
  read: f("i64", "i32", "memory", "u64"),
  pread: f("i64", "i32", "memory", "u64", "i64"),
  write: f("i64", "i32", "memory", "u64"),
  getrlimit: f("i32", "i32", "memory"),
  setrlimit: f("i32", "i32", "memory"),
  getgroups: f("i32", "i32", "memory"),
  chroot: f("i32", "memory"),
  chdir: f("i32", "memory"),
  clock_gettime: f("i32", "i32", "memory"),
  kill: f("i32", "i32", "i32"),
  signal: f("i64", "i32", "u64"), // handlers are addresses; 1 is SIG_IGN
  waitpid: f("i32", "i32", "memory", "i32"),
  waitid: f("i32", "i32", "u32", "memory", "i32"),
  execv: f("i32", "memory", "memory"),
  posix_spawn: f("i32", "memory", "memory", "memory", "memory", "memory", "memory"),
  posix_spawn_file_actions_init: f("i32", "memory"),
  posix_spawn_file_actions_adddup2: f("i32", "memory", "i32", "i32"),
  posix_spawn_file_actions_addclose: f("i32", "memory", "i32"),
  posix_spawn_file_actions_destroy: f("i32", "memory"),
  posix_spawnattr_init: f("i32", "memory"),
  posix_spawnattr_setsigdefault: f("i32", "memory", "memory"),
  posix_spawnattr_setsigmask: f("i32", "memory", "memory"),
  posix_spawnattr_setflags: f("i32", "memory", "i32"), // a short: widened by the caller
  posix_spawnattr_destroy: f("i32", "memory"),
};

const ON_LINUX: Record<string, Signature> = {
  __errno_location: f("pointer"),
  accept4: f("i32", "i32", "memory", "memory", "i32"),
  sigaction: f("i32", "i32", "memory", "memory"),
  sigprocmask: f("i32", "i32", "memory", "memory"),
  pipe2: f("i32", "memory", "i32"),
  fcntl: f("i32", "i32", "i32", "i64"),
  ioctl: f("i32", "i32", "u64", "memory"),
  poll: f("i32", "memory", "u64", "i32"),
  madvise: f("i32", "u64", "u64", "i32"),
  prctl: f("i32", "i32", "u64", "u64", "u64", "u64"),
  splice: f("i64", "i32", "u64", "i32", "u64", "u64", "u32"), // the offsets are NULL
  syscall: f("i64", "i64", "u64", "u64", "u64", "u64"), // memory by its address
  capget: f("i32", "memory", "memory"),
  capset: f("i32", "memory", "memory"),
  setgroups: f("i32", "u64", "memory"),
  setresgid: f("i32", "u32", "u32", "u32"),
  setresuid: f("i32", "u32", "u32", "u32"),
  getresgid: f("i32", "memory", "memory", "memory"),
  getresuid: f("i32", "memory", "memory", "memory"),
};

const ON_DARWIN: Record<string, Signature> = {
  __error: f("pointer"),
  accept: f("i32", "i32", "memory", "memory"),
  pipe: f("i32", "memory"),
  poll: f("i32", "memory", "u32", "i32"),
  setgroups: f("i32", "i32", "memory"),
  setgid: f("i32", "u32"),
  setuid: f("i32", "u32"),
  getgid: f("u32"),
  getegid: f("u32"),
  getuid: f("u32"),
  geteuid: f("u32"),
};

/** The system named by `process.platform` and `process.arch`. Throws Unsupported for others. */
export function abiOf(platform: string, arch: string): Abi {
  if (arch === "x64" || arch === "arm64") {
    if (platform === "linux") return linux(arch);
    if (platform === "darwin") return darwin(arch);
  }
  throw new Unsupported(
    "call the C library",
    `${platform} on ${arch}`,
    "run it on Linux or macOS, x64 or arm64",
  );
}

/** The signatures in the form that a loader needs. */
export function declarations<T>(
  { signatures }: Abi,
  translate: (signature: Signature) => T,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(signatures).map(([name, one]) => [name, translate(one)]),
  );
}

function linux(arch: "x64" | "arm64"): Abi {
  return {
    os: "linux",
    // The plain name of a library that the process has already loaded: the loader uses that one and
    // searches no folder. It also works with musl, which accepts any name with `libc.`. Do not try
    // a second name: Bun opens a name unknown to the loader in the working directory, where any
    // user may have put such a file.
    library: "libc.so.6",
    signatures: { ...COMMON, ...ON_LINUX },
    errnoSymbol: "__errno_location",
    constants: arch === "x64"
      ? { ...LINUX, O_NOFOLLOW: 0x20000, O_DIRECTORY: 0x10000 }
      : { ...LINUX, O_NOFOLLOW: 0x8000, O_DIRECTORY: 0x4000 },
    seccomp: arch === "x64" ? 317 : 277,
    getdents64: arch === "x64" ? 217 : 61,
    files: arch === "x64" ? { fstat: 5, statMode: 24 } : { fstat: 80, statMode: 16 },
    variadicFill: 0,
  };
}

/** On Apple's arm64 variadic arguments lie on the stack, whatever their number; a plain call would
 *  put them into a register and fcntl would read garbage. Six fillers use up the registers x2–x7. */
function darwin(arch: "x64" | "arm64"): Abi {
  const fill = arch === "arm64" ? 6 : 0;
  const filler = new Array<ArgumentType>(fill).fill("i64");
  return {
    os: "darwin",
    library: "/usr/lib/libSystem.B.dylib",
    signatures: { ...COMMON, ...ON_DARWIN, fcntl: f("i32", "i32", "i32", ...filler, "i64") },
    errnoSymbol: "__error",
    constants: DARWIN,
    seccomp: 0,
    getdents64: 0,
    files: { fstat: 0, statMode: 0 },
    variadicFill: fill,
  };
}
