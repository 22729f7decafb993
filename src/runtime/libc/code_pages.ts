/** The pages of the executable that this process has mapped. A start runs through code that is not
 *  needed later, and the kernel maps 64 KB for each page that is touched. Pages taken out of the
 *  process stay in the page cache and are mapped again when they are used. */

import type { Caller } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";

export interface CodePageCalls {
  /** Finds the executable's code in memory. Call it while /proc can be read. Returns a function that
   *  takes the pages out of this process; it never throws. Outside Linux it does nothing. */
  codePages(): () => void;
}

const MADV_DONTNEED = 4;

/** Bytes. Smaller mappings are those of libraries, and not worth a call. */
const LARGE = 16 << 20;

/** An address range. */
export interface Range {
  readonly from: number;
  readonly length: number;
}

/** Returns the large mappings of /proc/PID/maps that no relocation can have changed: code, and the first
 *  segment of a file. Taken out of the process, a changed page would lose its change. */
export function unchangedMappings(maps: string): Range[] {
  const lines = maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) r-(?:xp \S+|-p 0+) \S+ (\d+)/gm);
  return [...lines].flatMap(([, from = "", to = "", inode]) => {
    const range = { from: parseInt(from, 16), length: parseInt(to, 16) - parseInt(from, 16) };
    return inode !== "0" && range.length >= LARGE ? [range] : [];
  });
}

/** Bytes read of the list of mappings, at most. */
const MAX_LIST = 4 << 20;

/** The calls, made through `c`. */
export function codePageCalls(c: Caller, descriptors: Files): CodePageCalls {
  return {
    codePages() {
      const ranges = c.abi.os === "linux" ? unchangedMappings(ownMaps(descriptors)) : [];
      return () => {
        // A failure changes nothing: the pages stay mapped.
        for (const { from, length } of ranges) c.once("madvise", from, length, MADV_DONTNEED);
      };
    },
  };
}

type Files = Pick<DescriptorCalls, "open" | "readAll" | "close">;

/** Reads by libc, because Deno reads this file only with --allow-all. Returns "" without /proc. */
function ownMaps({ open, readAll, close }: Files): string {
  let fd: number;
  try {
    fd = open("/proc/self/maps");
  } catch {
    return "";
  }
  try {
    return new TextDecoder("latin1").decode(readAll(fd, MAX_LIST));
  } catch {
    return "";
  } finally {
    close(fd);
  }
}
