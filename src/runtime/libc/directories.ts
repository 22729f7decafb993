/** Folders by their descriptors: opening a name in one, and listing it. */

import { decodeOsText } from "../../codec/os_text.ts";
import { type Caller, cString, memory } from "./call.ts";

/** All throw SystemError. */
export interface DirectoryCalls {
  /** Opens a file for reading in the folder of descriptor `dir`, with close-on-exec; undefined if
   *  it does not exist. `folder`: opens only a folder. Refuses a link with ELOOP, or with ENOTDIR
   *  if `folder` is set. Never waits for the writer of a FIFO. The caller must check that `name`
   *  has no slash and is not `..`. */
  openIn(dir: number, name: string, folder?: boolean): number | undefined;
  /** Returns the names in the folder of descriptor `dir` if they are few (about a hundred). Takes
   *  two system calls. Undefined if there are more, or if the system cannot list them. Works once
   *  for each descriptor. */
  fewNames(dir: number): Set<string> | undefined;
}

/** struct linux_dirent64 */
const RECORD_LENGTH = 16;
const NAME = 19;
/** Bytes of entries that are read at once. */
const PART = 4096;

/** The calls, made through `c`. */
export function directoryCalls(c: Caller): DirectoryCalls {
  const { O_NONBLOCK, O_CLOEXEC, O_NOCTTY, O_NOFOLLOW, O_DIRECTORY } = c.abi.constants;
  const flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;

  return {
    openIn: (dir, name, folder) =>
      c.unlessAbsent("openat", dir, cString(name), folder ? flags | O_DIRECTORY : flags),

    fewNames(dir) {
      if (c.abi.getdents64 === 0) return undefined;
      const [first, more] = parts(c, dir);
      return more ? undefined : new Set(first);
    },
  };
}

/** Yields the names in an open folder, with `.` and `..`, in the parts that the system returns.
 *  Linux only. */
export function* parts(c: Caller, fd: number): Generator<string[]> {
  const buffer = memory(PART);
  const view = new DataView(buffer.buffer);
  const at = Number(c.raw.address(buffer));
  for (;;) {
    const length = c.value("syscall", c.abi.getdents64, fd, at, buffer.length, 0);
    if (length === 0) return;
    const names: string[] = [];
    for (let entry = 0; entry < length; entry += view.getUint16(entry + RECORD_LENGTH, true)) {
      const start = entry + NAME;
      names.push(decodeOsText(buffer.subarray(start, buffer.indexOf(0, start))));
    }
    yield names;
  }
}
