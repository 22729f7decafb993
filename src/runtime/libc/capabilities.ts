/** Capabilities, capabilities(7). All sets belong to the calling thread: a child gets those of the thread
 *  that starts it. Outside of Linux there are none. */

import { type Caller, cString, memory } from "./call.ts";
import { parts } from "./directories.ts";
import type { SystemError } from "./errno.ts";

/** All throw SystemError. */
export interface CapabilityCalls {
  /** Empties the calling thread's ambient set, which a program of a user other than root would keep
   *  across exec. The thread keeps its own capabilities. */
  clearAmbient(): void;
  /** Empties the calling thread's other sets except the bounding set. */
  dropCapabilities(): void;
  /** The threads of this process. */
  threads(): number[];
  /** True if the thread of this process has capabilities, effective or permitted. False if it has ended.
   *  0 is the calling thread. */
  hasCapabilities(thread: number): boolean;
}

const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** _LINUX_CAPABILITY_VERSION_3: two structs of effective, permitted, inheritable, 32 bits each. */
const CAPABILITY_VERSION = 0x20080522;
const EFFECTIVE_AND_PERMITTED = [0, 4, 12, 16];

/** The calls, made through `c`. */
export function capabilityCalls(c: Caller): CapabilityCalls {
  const linux = c.abi.os === "linux";
  const header = memory(8);
  const headerView = new DataView(header.buffer);
  const sets = memory(24);
  const setsView = new DataView(sets.buffer);

  function of(thread: number): void {
    headerView.setUint32(0, CAPABILITY_VERSION, true);
    headerView.setInt32(4, thread, true);
  }

  return {
    clearAmbient() {
      if (!linux) return;
      try {
        c.zero("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
      } catch (error) {
        // Linux before 4.3 has no ambient capabilities.
        if ((error as SystemError).code !== "EINVAL") throw error;
      }
    },

    dropCapabilities() {
      if (!linux) return;
      this.clearAmbient();
      of(0);
      sets.fill(0);
      c.zero("capset", header, sets);
    },

    threads() {
      if (!linux) return [];
      // By libc, because Deno lists folders of /proc only with --allow-all.
      const fd = c.value("open", cString("/proc/self/task"), c.abi.constants.O_CLOEXEC);
      try {
        return numberedEntries(c, fd);
      } finally {
        c.once("close", fd);
      }
    },

    hasCapabilities(thread) {
      if (!linux) return false;
      of(thread);
      try {
        c.zero("capget", header, sets);
      } catch (error) {
        if ((error as SystemError).code === "ESRCH") return false;
        throw error;
      }
      return EFFECTIVE_AND_PERMITTED.some((at) => setsView.getUint32(at, true) !== 0);
    },
  };
}

/** The names in an open folder that are numbers. */
function numberedEntries(c: Caller, fd: number): number[] {
  return [...parts(c, fd)].flat().map(Number).filter(Number.isInteger);
}
