/** Ids, limits, root folder and signals of this process. The C library changes the ids of all
 *  threads; a raw system call would change only those of one (nptl(7)). */

import { Unsupported } from "../../errors.ts";
import { type Caller, cString, memory } from "./call.ts";
import type { SystemError } from "./errno.ts";
import { filterAllThreads, noNewPrivs } from "./sandbox.ts";

/** Real, effective and saved ids. macOS does not report the saved ones. */
export interface Ids {
  readonly ruid: number;
  readonly euid: number;
  readonly suid: number | undefined;
  readonly rgid: number;
  readonly egid: number;
  readonly sgid: number | undefined;
}

/** A soft and a hard limit; Infinity for none. */
export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** Calls on the process. All throw SystemError. */
export interface IdentityCalls {
  /** Raises the soft limit of open files to the hard one. Returns the limits afterwards. */
  raiseFileLimit(): Limit;
  /** Calls `start`, which starts a program, with the soft limit of open files as it was before
   *  `raiseFileLimit`: a program gets the limit that the server was started with. If more descriptors are
   *  open than that limit allows, so that `start` fails, it is called again and the program gets the raised
   *  limit. */
  withFirstFileLimit<T>(start: () => T): T;
  /** Sets soft and hard limit: bytes of a core file, or open files. */
  setLimit(resource: "core" | "files", n: number): void;
  /** Sets the supplementary groups to exactly these. */
  setGroups(gids: readonly number[]): void;
  /** The supplementary groups. */
  getGroups(): number[];
  /** Sets real, effective and saved group id. Groups first, then gid, then uid. */
  setGid(gid: number): void;
  /** Sets real, effective and saved user id. */
  setUid(uid: number): void;
  getIds(): Ids;
  /** True: the three calls below exist (Linux). */
  readonly confines: boolean;
  /** Sets no_new_privs in all threads and later children: exec of a setuid file grants no privileges.
   *  Throws Unsupported outside Linux. */
  prctlNoNewPrivs(): void;
  /** The same for the calling thread alone, for kernels without seccomp. Throws Unsupported outside
   *  Linux. */
  prctlNoNewPrivsHere(): void;
  /** Whether other processes of this user may trace this one, and a crash writes a core file.
   *  Set it after the last change of ids, which sets it too. Throws Unsupported outside Linux. */
  prctlDumpable(on: boolean): void;
  /** Sets the name that ps and top show: at most 15 bytes. Throws Unsupported outside Linux. */
  prctlName(name: string): void;
  /** Makes `path` the root and working folder: a process whose working folder is outside its root
   *  can leave the root. */
  chroot(path: string): void;
  /** Sends a signal, by number, to one process. */
  kill(pid: number, signal: number): void;
  /** Ignores a signal, by number, from now on; programs started by `spawn` get its default again. True:
   *  the kernel ignored it already. */
  ignoreSignal(signal: number): boolean;
}

const RLIMIT_CORE = 4;

/** The value that means no limit: 2^63 − 1 on macOS, 2^64 − 1 on Linux. */
const NO_LIMIT = { linux: 0xffffffffffffffffn, darwin: 0x7fffffffffffffffn };

/** macOS: more open files than OPEN_MAX are refused although the hard limit is infinite. */
const DARWIN_OPEN_MAX = 10240;

const PR_SET_DUMPABLE = 4;
const PR_SET_NAME = 15;

/** The same on Linux and macOS. */
const SIG_IGN = 1;

/** PR_SET_NO_NEW_PRIVS applies only to the calling thread, and an intruder could exec in another
 *  thread of the runtime. The kernel applies a seccomp filter to all threads, and no_new_privs with
 *  it (seccomp(2), TSYNC). This filter has one instruction (BPF_RET | BPF_K with SECCOMP_RET_ALLOW)
 *  and allows everything. */
const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0x00, 0x00, 0xff, 0x7f);

/** −1 as an id means "leave it as it is" to setresuid: success, and still root. */
const LAST_ID = 0xfffffffe;

function checkId(id: number): void {
  if (!Number.isInteger(id) || id < 0 || id > LAST_ID) {
    throw new RangeError(`unable to set an id: ${id} is not a number from 0 to ${LAST_ID}`);
  }
}

/** The calls, made through `c`. */
export function identityCalls(c: Caller): IdentityCalls {
  const os = c.abi.os;
  const { RLIMIT_NOFILE } = c.abi.constants;
  const limit = memory(16);
  const limitView = new DataView(limit.buffer);
  const ids = [memory(4), memory(4), memory(4)] as const;

  function getLimit(resource: number): Limit {
    c.zero("getrlimit", resource, limit);
    const field = (at: number) => {
      const value = limitView.getBigUint64(at, true);
      return value === NO_LIMIT[os] ? Infinity : Number(value);
    };
    return { soft: field(0), hard: field(8) };
  }

  function setLimits(resource: number, { soft, hard }: Limit): void {
    const value = (n: number) => n === Infinity ? NO_LIMIT[os] : BigInt(n);
    limitView.setBigUint64(0, value(soft), true);
    limitView.setBigUint64(8, value(hard), true);
    c.zero("setrlimit", resource, limit);
  }

  /** The limit before and after it was raised. */
  let raised: { first: Limit; now: Limit } | undefined;

  function three(call: "getresuid" | "getresgid"): [number, number, number] {
    c.zero(call, ...ids);
    const [a, b, s] = ids.map((id) => new DataView(id.buffer).getUint32(0, true));
    return [a ?? 0, b ?? 0, s ?? 0];
  }

  function linuxOnly(what: string): void {
    if (os !== "linux") throw new Unsupported(what, os, "run it on Linux");
  }

  return {
    raiseFileLimit() {
      const first = getLimit(RLIMIT_NOFILE);
      const { soft, hard } = first;
      if (soft < hard) {
        try {
          setLimits(RLIMIT_NOFILE, { soft: hard, hard });
        } catch (error) {
          if (os !== "darwin" || (error as SystemError).code !== "EINVAL") throw error;
          const possible = Math.min(hard, DARWIN_OPEN_MAX);
          if (soft < possible) setLimits(RLIMIT_NOFILE, { soft: possible, hard });
        }
      }
      const now = getLimit(RLIMIT_NOFILE);
      if (now.soft !== soft) raised = { first, now };
      return now;
    },

    withFirstFileLimit(start) {
      if (!raised) return start();
      setLimits(RLIMIT_NOFILE, raised.first);
      try {
        return start();
      } catch (error) {
        if (!["EMFILE", "EBADF"].includes((error as SystemError).code)) throw error;
      } finally {
        setLimits(RLIMIT_NOFILE, raised.now);
      }
      return start();
    },

    setLimit: (resource, n) =>
      setLimits(resource === "core" ? RLIMIT_CORE : RLIMIT_NOFILE, { soft: n, hard: n }),

    setGroups(gids) {
      gids.forEach(checkId);
      const list = memory(Math.max(4, 4 * gids.length)); // empty memory has no address
      const view = new DataView(list.buffer);
      gids.forEach((gid, i) => view.setUint32(4 * i, gid, true));
      c.zero("setgroups", gids.length, list);
    },

    getGroups() {
      const count = c.value("getgroups", 0, limit);
      const list = memory(Math.max(4, 4 * count));
      const got = c.value("getgroups", count, list);
      const view = new DataView(list.buffer);
      return Array.from({ length: got }, (_, i) => view.getUint32(4 * i, true));
    },

    setGid(gid) {
      checkId(gid);
      if (os === "linux") c.zero("setresgid", gid, gid, gid);
      else c.zero("setgid", gid); // sets all three for root
    },

    setUid(uid) {
      checkId(uid);
      if (os === "linux") c.zero("setresuid", uid, uid, uid);
      else c.zero("setuid", uid);
    },

    getIds() {
      if (os === "linux") {
        const [ruid, euid, suid] = three("getresuid");
        const [rgid, egid, sgid] = three("getresgid");
        return { ruid, euid, suid, rgid, egid, sgid };
      }
      return {
        ruid: c.value("getuid"),
        euid: c.value("geteuid"),
        suid: undefined,
        rgid: c.value("getgid"),
        egid: c.value("getegid"),
        sgid: undefined,
      };
    },

    confines: os === "linux",

    prctlNoNewPrivs() {
      linuxOnly("refuse new privileges");
      filterAllThreads(c, ALLOW_ALL);
    },

    prctlNoNewPrivsHere() {
      linuxOnly("refuse new privileges");
      noNewPrivs(c);
    },

    prctlDumpable(on) {
      linuxOnly("refuse to be traced");
      c.zero("prctl", PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0);
    },

    prctlName(name) {
      linuxOnly("name this process");
      const text = cString(name);
      c.zero("prctl", PR_SET_NAME, Number(c.raw.address(text)), 0, 0, 0);
      text.fill(0); // a use after the call, so that it is not collected before
    },

    chroot(path) {
      c.zero("chroot", cString(path));
      c.zero("chdir", cString("/"));
    },

    kill(pid, signal) {
      // 0 and below name groups of processes; −1 is everyone.
      if (!(pid > 0)) {
        throw new RangeError(`unable to send a signal: ${pid} is not the id of one process`);
      }
      c.zero("kill", pid, signal);
    },

    ignoreSignal(signal) {
      const before = c.once("signal", signal, SIG_IGN);
      if (before === -1) throw c.error("signal");
      return before === SIG_IGN;
    },
  };
}
