/** Opens files below a folder, so that no path leads out of it: openat2(2) with RESOLVE_BENEATH,
 *  or, if the kernel or a filter refuses that call, one openat(2) for each name. Linux only. */

import { type Caller, cString, type Memory, memory } from "./call.ts";
import { SystemError } from "./errno.ts";

/** A regular file that is open for reading. */
export interface FileBelow {
  readonly fd: number;
  /** In bytes. */
  readonly size: number;
  /** When the content was changed, in milliseconds since 1970. */
  readonly modified: number;
  /** Differs between two versions of a file. */
  readonly version: string;
}

export interface BeneathCalls {
  /** Opens a folder for `openBelow`. */
  openFolder(path: string): number;
  /** Opens a regular file below a folder. `other`: a device, pipe or socket, which is not opened.
   *  Follows links that do not lead out of the folder, and refuses others (EXDEV, ELOOP). Without
   *  openat2 it follows none. */
  openBelow(folder: number, names: readonly string[]): FileBelow | "folder" | "other";
}

const OPENAT2 = 437;
/** RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH */
const RESOLVE = 0x02 | 0x08;
const ATTEMPTS = 16;
const O_PATH = 0x200000;
const KIND = 0o170000;
const FOLDER = 0o040000;
const REGULAR = 0o100000;

/** The calls, made through `c`. */
export function beneathCalls(c: Caller): BeneathCalls {
  const { O_CLOEXEC, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW, O_DIRECTORY } = c.abi.constants;
  const { fstat, statMode } = c.abi.files;
  const how = memory(24); // struct open_how: flags, mode, resolve
  const howView = new DataView(how.buffer);
  const stat = memory(144); // struct stat
  const statView = new DataView(stat.buffer);
  /** False once the kernel or a filter has refused openat2. */
  let hasOpenat2 = true;

  const at = (bytes: Memory): number => Number(c.raw.address(bytes));

  function open(folder: number, names: readonly string[], flags: number): number {
    if (hasOpenat2) {
      try {
        return openResolved(folder, names.join("/"), flags);
      } catch (error) {
        if (
          !(error instanceof SystemError) || (error.code !== "ENOSYS" && error.code !== "EPERM")
        ) {
          throw error;
        }
        hasOpenat2 = false;
      }
    }
    return openStepwise(folder, names, flags);
  }

  function openResolved(folder: number, name: string, flags: number): number {
    const path = cString(name);
    howView.setBigUint64(0, BigInt(flags), true);
    howView.setBigUint64(16, BigInt(RESOLVE), true);
    for (let attempt = 1;; attempt++) {
      try {
        const fd = c.value("syscall", OPENAT2, folder, at(path), at(how), how.length);
        path.fill(0); // a use after the call, so that it is not collected before
        return fd;
      } catch (error) {
        // A folder on the way was renamed meanwhile (openat2(2)).
        if ((error as SystemError).code !== "EAGAIN" || attempt === ATTEMPTS) throw error;
      }
    }
  }

  function openStepwise(folder: number, names: readonly string[], flags: number): number {
    let at = folder;
    try {
      for (const [i, name] of names.entries()) {
        const last = i === names.length - 1;
        const next = openat1(at, name, last ? flags : O_PATH | O_CLOEXEC | O_DIRECTORY);
        if (at !== folder) c.once("close", at);
        at = next;
      }
      return at;
    } catch (error) {
      if (at !== folder) c.once("close", at);
      throw error;
    }
  }

  function openat1(folder: number, name: string, flags: number): number {
    if (name === "" || name === "." || name === ".." || name.includes("/")) {
      throw new TypeError("unable to open a file below a folder: no name");
    }
    return c.value("openat", folder, cString(name), flags | O_NOFOLLOW);
  }

  function kindOf(fd: number): number {
    c.zero("syscall", fstat, fd, at(stat), 0, 0);
    return statView.getUint32(statMode, true) & KIND;
  }

  function describe(fd: number): FileBelow {
    const size = Number(statView.getBigInt64(48, true));
    const seconds = statView.getBigInt64(88, true);
    const nanoseconds = statView.getBigUint64(96, true);
    return {
      fd,
      size,
      modified: Number(seconds) * 1000 + Math.floor(Number(nanoseconds) / 1e6),
      version: [BigInt(size), seconds, nanoseconds].map((n) => n.toString(16)).join("-"),
    };
  }

  return {
    openFolder: (path) => c.value("open", cString(path), O_CLOEXEC | O_DIRECTORY),

    openBelow(folder, names) {
      // Checks the type first, because opening a device may have an effect.
      const found = open(folder, names, O_PATH | O_CLOEXEC);
      let kind: number;
      try {
        kind = kindOf(found);
      } finally {
        c.once("close", found);
      }
      if (kind === FOLDER) return "folder";
      if (kind !== REGULAR) return "other";
      const fd = open(folder, names, O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
      if (kindOf(fd) === REGULAR) return describe(fd);
      c.once("close", fd); // the file was replaced meanwhile
      return "other";
    },
  };
}
