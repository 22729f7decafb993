/** The seccomp filter of a worker: which system calls it may make, with which arguments. This file
 *  only builds the filter; sandbox.ts installs it.
 *
 *  The calls that a worker makes are listed, and all others are refused. A refused call fails with
 *  an error, so that a library's harmless attempt does no harm. A call that no library attempts in
 *  good faith ends the process. An unlisted call fails with ENOSYS: libraries expect that of an
 *  older kernel and do without the call. */

import process from "node:process";
import { type Condition, type FilterAction, seccompProgram } from "../codec/bpf.ts";
import type { FileAccess } from "./file_access.ts";
import { syscallNumbers } from "./syscalls.ts";

/** What the filter allows beyond the calls that every worker makes. */
export interface FilterOptions {
  /** `read`: the worker may open files for reading. `none`: it may open no file. */
  readonly files: FileAccess;
  /** True: openat2(2) is allowed if Landlock keeps all threads from changing files. */
  readonly beneath?: boolean;
  /** False: the process cannot make sockets, and cannot use socket calls on inherited sockets. */
  readonly sockets?: false;
  /** True: it may make pairs of connected Unix sockets. */
  readonly pairs?: boolean;
}

const EPERM = 1;
const EACCES = 13;
const EINVAL = 22;
const ENOSYS = 38;
const ENOPROTOOPT = 92;
const EAFNOSUPPORT = 97;

/** Calls that both runtimes make when they serve, allowed with all arguments. None of them changes
 *  another process, or a file by its path. */
const ALLOWED = `
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close close_range
  dup dup2 dup3 pipe pipe2 fstat fsync fdatasync
  poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
  eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime
  accept accept4 bind listen connect shutdown getsockname getpeername
  recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg
  mmap munmap mprotect mremap madvise mincore msync brk membarrier
  pkey_alloc pkey_free pkey_mprotect
  futex set_robust_list rseq set_tid_address exit exit_group restart_syscall
  rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigpending rt_sigtimedwait sigaltstack
  sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max
  sched_get_priority_min getcpu
  nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
  getrandom getrlimit getrusage sysinfo uname
  getpid gettid getppid getpgrp getpgid getsid getpriority
  getuid geteuid getgid getegid getresuid getresgid getgroups wait4 waitid
  access faccessat faccessat2 stat lstat newfstatat statx statfs fstatfs readlink readlinkat
  getcwd getdents64`;

/** Calls that `sockets: false` refuses, some of them from the list above. */
const SOCKETS = `socket socketpair accept accept4 bind listen connect shutdown setsockopt
  recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg`;

/** Calls that fail with EPERM. Most of them would fail without this list too, but not for root, or
 *  for a user on that user's own files. */
const REFUSED = `
  fork vfork setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset
  chroot chdir fchdir pivot_root unshare setns personality setsid setpgid setpriority setrlimit
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler seccomp
  pidfd_open pidfd_getfd pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo kcmp
  mount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick
  init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct
  add_key request_key keyctl bpf perf_event_open userfaultfd syslog quotactl quotactl_fd
  iopl ioperm modify_ldt sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex
  unlink unlinkat rmdir rename renameat renameat2 link linkat symlink symlinkat
  mkdir mkdirat mknod mknodat creat truncate ftruncate fallocate
  chmod fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat
  setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
  name_to_handle_at open_by_handle_at fanotify_init sync syncfs`;

/** Calls that start another program or take another process over: they end the worker. */
const KILLED = "execve execveat ptrace process_vm_writev";

const CLONE_THREAD = 0x10000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
const CLONE_NEW = 0x7e020000;

const O_WRITES = 3 | 0x40 | 0x200; // O_ACCMODE, O_CREAT, and O_TRUNC, which works with O_RDONLY too

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCKET_TYPE = 0xf; // the other bits are flags
const STREAM = 1;
const STREAM_OR_DATAGRAM = [STREAM, 2];
/** The family's default, TCP, UDP. Others (MPTCP, SCTP, UDP-Lite, ping) are kernel code that no
 *  worker needs. */
const PROTOCOLS = [0, 6, 17];

const SOL_SOCKET = 1;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_IPV6 = 41;

/** Options that a worker may set, by level. The listening socket is shared with the other workers
 *  and outlives this one, and a filter cannot tell it from other sockets. With IP_MINTTL,
 *  SO_BINDTODEVICE or SO_ATTACH_FILTER on it, no client could connect any more. Of the options
 *  listed here, only SO_LINGER passes to connections that other workers accept; the monitor resets
 *  it (`Libc.repairListener`). SO_REUSEADDR is not listed. Both runtimes try to set it before they
 *  connect from an address, and do without it. If a worker could turn it off for a connection, a
 *  successor could not bind the port. */
const SET_OPTIONS: Readonly<Record<number, readonly number[]>> = {
  [SOL_SOCKET]: [13], // SO_LINGER
  // TCP_NODELAY, TCP_QUICKACK. Not TCP_CORK: Bun only clears it and never sets it
  [IPPROTO_TCP]: [1, 12],
  [IPPROTO_IP]: [4], // IP_OPTIONS, to clear them
};
/** Options that a worker may read. */
const GET_OPTIONS: Readonly<Record<number, readonly number[]>> = {
  // SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_LINGER, SO_ACCEPTCONN, SO_PROTOCOL,
  // SO_DOMAIN
  [SOL_SOCKET]: [2, 3, 4, 7, 8, 13, 30, 38, 39],
  [IPPROTO_TCP]: [1, 11], // TCP_NODELAY, TCP_INFO
  [IPPROTO_IP]: [4], // IP_OPTIONS
  [IPPROTO_IPV6]: [26], // IPV6_V6ONLY
};

/** Allows only these options. Argument 1 of the call is the level, argument 2 the option. */
function oneOfThese(options: Readonly<Record<number, readonly number[]>>): Condition {
  const anyOf = Object.entries(options).map(([level, oneOf]) => [
    { arg: 1, oneOf: [Number(level)] },
    { arg: 2, oneOf },
  ]);
  return { anyOf, otherwise: ENOPROTOOPT };
}

/** F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC, F_SETPIPE_SZ,
 *  F_GETPIPE_SZ. Without F_SETLKW, `deno run` waits ten seconds for its caches at the end. Not
 *  F_SETOWN and F_SETSIG: with these a descriptor sends any signal to any process of the user. */
const FCNTL = [0, 1, 2, 3, 5, 6, 7, 1030, 1031, 1032];
const F_SETFL = 4;
/** O_ACCMODE, O_APPEND, O_NONBLOCK, O_LARGEFILE on both architectures: the flags that F_GETFL
 *  returns, and O_NONBLOCK. Not O_ASYNC, which sends signals to the owner of a descriptor that was
 *  handed over. */
const STATUS_FLAGS = 3 | 0x400 | 0x800 | 0x8000 | 0x20000;
/** TCGETS (isatty), TIOCOUTQ (SIOCOUTQ), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. Not
 *  TIOCSTI, which puts input into the terminal that the server was started from. */
const IOCTL = [0x5401, 0x5411, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];
/** PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_VMA
 *  (names a region of memory). */
const PRCTL = [3, 15, 16, 38, 39, 0x53564d41];
/** The signal with which JavaScriptCore stops its threads. musl's pthread_kill calls tkill. */
const SIGPWR = 30;

/** Calls that are allowed or refused by their arguments. */
function conditions(
  { files, beneath, pairs }: FilterOptions,
  guarded: boolean,
): Record<string, Condition | FilterAction> {
  const here = [process.pid];
  const readOnly = (arg: number): Condition | FilterAction =>
    files === "none" ? EACCES : { tests: [{ arg, mask: O_WRITES, oneOf: [0] }], otherwise: EACCES };
  return {
    // Allows threads, but not processes. clone3 has its flags in memory, which a filter cannot
    // read. libc falls back to clone if clone3 does not exist.
    clone: {
      tests: [{ arg: 0, mask: CLONE_THREAD | CLONE_NEW, oneOf: [CLONE_THREAD] }],
      otherwise: EPERM,
    },
    clone3: ENOSYS,
    open: readOnly(1),
    openat: readOnly(2),
    // Its flags are in memory, as above, so it is allowed only if Landlock refuses every change of
    // a file. --files opens files with it (libc/beneath.ts).
    openat2: beneath && guarded ? "allow" : ENOSYS,
    // Unix sockets come from the monitor. Through one made here, a worker could talk to other
    // servers of the machine.
    socket: {
      tests: [
        { arg: 0, oneOf: [AF_INET, AF_INET6] },
        { arg: 1, mask: SOCKET_TYPE, oneOf: STREAM_OR_DATAGRAM },
        { arg: 2, oneOf: PROTOCOLS },
      ],
      otherwise: EAFNOSUPPORT,
    },
    // Only traced connections on Bun need pairs. Only stream sockets are allowed, because a pair of
    // them stays connected. A datagram socket could send to any other Unix socket.
    socketpair: pairs
      ? {
        tests: [{ arg: 0, oneOf: [AF_UNIX] }, { arg: 1, mask: SOCKET_TYPE, oneOf: [STREAM] }],
        otherwise: EAFNOSUPPORT,
      }
      : EAFNOSUPPORT,
    setsockopt: oneOfThese(SET_OPTIONS),
    getsockopt: oneOfThese(GET_OPTIONS),
    kill: { tests: [{ arg: 0, oneOf: here }], otherwise: EPERM },
    tgkill: { tests: [{ arg: 0, oneOf: here }], otherwise: EPERM },
    tkill: { tests: [{ arg: 1, oneOf: [SIGPWR] }], otherwise: EPERM },
    prlimit64: {
      tests: [{ arg: 0, oneOf: [0, ...here] }, { arg: 2, isNull: true }], // only to read them
      otherwise: EPERM,
    },
    fcntl: {
      anyOf: [
        [{ arg: 1, oneOf: FCNTL }],
        [{ arg: 1, oneOf: [F_SETFL] }, { arg: 2, mask: ~STATUS_FLAGS >>> 0, oneOf: [0] }],
      ],
      otherwise: EINVAL,
    },
    ioctl: { tests: [{ arg: 1, oneOf: IOCTL }], otherwise: EPERM },
    prctl: { tests: [{ arg: 0, oneOf: PRCTL }], otherwise: EINVAL },
  };
}

/** Returns the filter for this process on `arch`. `guarded`: Landlock keeps all threads from changing
 *  files. */
export function workerFilter(
  arch: "x64" | "arm64",
  options: FilterOptions,
  guarded = false,
): Uint8Array<ArrayBuffer> {
  const numbers = syscallNumbers(arch);
  const calls = new Map<number, FilterAction | Condition>();
  const add = (name: string, action: FilterAction | Condition) => {
    if (!numbers.has(name)) {
      throw new TypeError(`unable to build a filter: there is no system call ${name}`);
    }
    const nr = numbers.get(name);
    if (nr === undefined) return;
    if (calls.has(nr)) throw new TypeError(`unable to build a filter: ${name} is listed twice`);
    calls.set(nr, action);
  };
  const addAll = (names: string, action: FilterAction) =>
    names.trim().split(/\s+/).forEach((name) => add(name, action));
  addAll(ALLOWED, "allow");
  addAll(REFUSED, EPERM);
  addAll(KILLED, "kill");
  Object.entries(conditions(options, guarded)).forEach(([name, action]) => add(name, action));
  if (options.sockets === false) {
    for (const name of SOCKETS.trim().split(/\s+/)) {
      const nr = numbers.get(name);
      if (nr !== undefined) calls.set(nr, EPERM);
    }
  }
  return seccompProgram({ arch, calls, unknown: ENOSYS });
}
