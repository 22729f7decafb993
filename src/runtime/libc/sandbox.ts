/** Restricts this process for good, with seccomp(2) and landlock(7). Only the calls;
 *  privsep/worker_filter.ts decides which system calls a worker needs.
 *
 *  Both restrict single threads. A runtime has several threads, which share memory, so an intruder
 *  could use any thread that is not restricted. seccomp can reach all threads (TSYNC); Landlock can
 *  from Linux 7.0 on. On older kernels, a process restricts itself and executes its program again:
 *  every thread of the new program is restricted from its start (runtime/confine.ts). */

import { Unsupported } from "../../errors.ts";
import { LANDLOCK } from "./abi.ts";
import { type Caller, cString, memory } from "./call.ts";

/** The result of `landlock`. */
export interface Landlocked {
  /** The kernel's version of the interface. */
  readonly abi: number;
  /** All threads, or the calling one and those it will start. */
  readonly threads: "all" | "calling";
}

/** The access to files that Landlock leaves. */
export interface Landlocking {
  /** Files can be read below these folders, given by path or as open descriptors. */
  readonly readBelow: readonly (string | number)[];
  /** True: files there can also be executed. */
  readonly execute?: boolean;
}

/** Restrictions that cannot be removed. Both set no_new_privs, without which the kernel requires root.
 *  They throw SystemError (ENOSYS, EINVAL, EOPNOTSUPP: the kernel has none), and Unsupported outside
 *  of Linux. */
export interface SandboxCalls {
  /** Applies this filter (codec/bpf.ts) to the system calls of all threads. If several filters
   *  apply, the strictest result counts. If a thread has a different filter, no thread gets the new
   *  one, and an Error with the number of that thread is thrown. */
  seccomp(program: Uint8Array): void;
  /** From now on files are opened for reading only, and only below these folders; nothing is
   *  written, made, removed or renamed, and nothing is executed unless `execute` says so. Open
   *  files stay open. This process can no longer look into processes without these restrictions.
   *  From Linux 6.12 on, it can no longer reach them by an abstract Unix socket or, if all threads
   *  are restricted alike, by a signal. */
  landlock(what: Landlocking): Landlocked;
  /** The kernel's version of the interface; 0: it has none. */
  landlockVersion(): number;
  /** True if the calling thread cannot open /dev/null for writing. */
  landlocked(): boolean;
  /** Executes `path` in place of this program: descriptors without close-on-exec, environment, ids
   *  and restrictions stay. Returns only by throwing. */
  become(path: string, argv: readonly string[]): never;
}

const PR_SET_NO_NEW_PRIVS = 38;

const SECCOMP_SET_MODE_FILTER = 1;
/** SECCOMP_FILTER_FLAG_TSYNC and _SPEC_ALLOW. Without the second, a filter switches on a mitigation
 *  before Linux 5.16 that slows down every memory load of the process. It protects against
 *  untrusted code in the same process, and there is none. */
const SECCOMP_FLAGS = 1 | 4;

const LANDLOCK_CREATE_RULESET_VERSION = 1;
const LANDLOCK_RULE_PATH_BENEATH = 1;
const LANDLOCK_RESTRICT_SELF_TSYNC = 8;
const TSYNC_ABI = 8;
const SCOPES_ABI = 6;
const SCOPE_ABSTRACT_UNIX_SOCKET = 1;
const SCOPE_SIGNAL = 2;
const EXECUTE = 1 << 0;
const READ_FILE = 1 << 2;
const READ_DIR = 1 << 3;

const O_PATH = 0x200000;
const O_WRONLY = 1;

/** Every right to files that this version of the interface knows: 13 at first, then REFER (2),
 *  TRUNCATE (3) and IOCTL_DEV (5). Later versions are about other things than files. */
function fileRights(abi: number): number {
  const count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  return 2 ** count - 1;
}

function linuxOnly(c: Caller, what: string): void {
  if (c.abi.os !== "linux") throw new Unsupported(what, c.abi.os, "run it on Linux");
}

/** From now on exec grants the calling thread nothing. seccomp and Landlock with TSYNC carry it to
 *  all threads. */
export function noNewPrivs(c: Caller): void {
  c.zero("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/** `SandboxCalls.seccomp`. */
export function filterAllThreads(c: Caller, program: Uint8Array): void {
  linuxOnly(c, "filter system calls");
  const filter = memory(program.length);
  filter.set(program);
  const header = memory(16); // struct sock_fprog
  const view = new DataView(header.buffer);
  view.setUint16(0, program.length / 8, true);
  view.setBigUint64(8, c.raw.address(filter), true);
  noNewPrivs(c);
  const at = Number(c.raw.address(header));
  const thread = c.value("syscall", c.abi.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FLAGS, at, 0);
  filter.fill(0); // a use after the call, so that neither is collected before
  header.fill(0);
  if (thread !== 0) {
    throw new Error(`unable to filter system calls: thread ${thread} has a filter of its own`);
  }
}

/** The calls, made through `c`. */
export function sandboxCalls(c: Caller): SandboxCalls {
  const { createRuleset, addRule, restrictSelf } = LANDLOCK;

  function allow(rights: number, ruleset: number, folder: string | number): void {
    const { O_CLOEXEC } = c.abi.constants;
    const fd = typeof folder === "number"
      ? folder
      : c.value("open", cString(folder), O_PATH | O_CLOEXEC); // needs no permission to read the folder
    try {
      const rule = memory(12); // struct landlock_path_beneath_attr, packed
      const view = new DataView(rule.buffer);
      view.setBigUint64(0, BigInt(rights), true);
      view.setInt32(8, fd, true);
      const at = Number(c.raw.address(rule));
      c.zero("syscall", addRule, ruleset, LANDLOCK_RULE_PATH_BENEATH, at, 0);
      rule.fill(0);
    } finally {
      if (typeof folder === "string") c.once("close", fd);
    }
  }

  function version(): number {
    return c.value("syscall", createRuleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0);
  }

  function makeRuleset(abi: number, scopes: number): number {
    // struct landlock_ruleset_attr: files, network, scopes. Fields that are left out are 0.
    const attributes = memory(abi >= SCOPES_ABI ? 24 : 8);
    const view = new DataView(attributes.buffer);
    view.setBigUint64(0, BigInt(fileRights(abi)), true);
    if (abi >= SCOPES_ABI) view.setBigUint64(16, BigInt(scopes), true);
    const at = Number(c.raw.address(attributes));
    const ruleset = c.value("syscall", createRuleset, at, attributes.length, 0, 0);
    attributes.fill(0);
    return ruleset;
  }

  return {
    seccomp: (program) => filterAllThreads(c, program),

    landlock({ readBelow, execute = false }) {
      linuxOnly(c, "restrict files");
      const abi = version();
      const all = abi >= TSYNC_ABI;
      // Landlock would forbid signals to threads that are not restricted alike, and JavaScriptCore
      // stops its threads with signals.
      const signals = all || execute ? SCOPE_SIGNAL : 0;
      const ruleset = makeRuleset(abi, SCOPE_ABSTRACT_UNIX_SOCKET | signals);
      const rights = READ_FILE | READ_DIR | (execute ? EXECUTE : 0);
      try {
        readBelow.forEach((folder) => allow(rights, ruleset, folder));
        noNewPrivs(c);
        c.zero("syscall", restrictSelf, ruleset, all ? LANDLOCK_RESTRICT_SELF_TSYNC : 0, 0, 0);
        return { abi, threads: all ? "all" : "calling" };
      } finally {
        c.once("close", ruleset);
      }
    },

    landlockVersion() {
      if (c.abi.os !== "linux") return 0;
      try {
        return version();
      } catch {
        return 0; // ENOSYS, EOPNOTSUPP, or a filter's EPERM
      }
    },

    landlocked() {
      const fd = c.once("open", cString("/dev/null"), O_WRONLY | c.abi.constants.O_CLOEXEC);
      if (fd < 0) return c.error("open").code === "EACCES";
      c.once("close", fd);
      return false;
    },

    become(path, argv) {
      const words = argv.map(cString);
      const table = memory(8 * (words.length + 1));
      const view = new DataView(table.buffer);
      words.forEach((word, i) => view.setBigUint64(8 * i, c.raw.address(word), true));
      c.once("execv", cString(path), table);
      const error = c.error("execv");
      words.forEach((word) => word.fill(0)); // a use after the call: not collected before
      throw error;
    },
  };
}
