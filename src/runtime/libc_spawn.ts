/** Programs by libc: started with exactly the descriptors given, and reaped. For a runtime whose own
 *  way cannot pass descriptors without handing on copies of them (Deno). */

import { systemError } from "./errno.ts";
import { type Caller, cString, type Memory, memory } from "./libc_call.ts";

/** Calls about programs. All throw SystemError. */
export interface SpawnCalls {
  /** Runs the file `path` with `argv` (its own name first) and `env`; `descriptors[n]` becomes its
   *  descriptor n. Others are closed if they are marked so. SIGPIPE has its default meaning in it,
   *  and no signal is blocked. Returns its process id; the caller reaps it with `reap`. */
  spawn(
    path: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    descriptors: readonly number[],
  ): number;
  /** The wait status of a child that has ended: exit code × 256, or the signal's number. Undefined
   *  while it runs. */
  reap(pid: number): number | undefined;
}

/** Enough for posix_spawn_file_actions_t, posix_spawnattr_t and sigset_t (glibc: 80, 336, 128). */
const STRUCT = 512;
/** posix_spawnattr_setflags; the same bits on Linux and macOS. */
const SETSIGDEF = 4;
const SETSIGMASK = 8;
/** Bit of SIGPIPE (13 everywhere) in a sigset_t: both runtimes ignore it, and exec would keep that. */
const SIGPIPE_BYTE = 1;
const SIGPIPE_BIT = 0x10;
const WNOHANG = 1;

/** The calls, made through `c`. */
export function spawnCalls(c: Caller): SpawnCalls {
  const number = memory(4);
  const numberView = new DataView(number.buffer);
  /** Strings of which only the addresses are handed over: kept from the collector meanwhile. */
  const held: Memory[] = [];

  /** These return the error's number and leave errno alone. */
  function make(name: string, ...args: (number | Memory)[]): void {
    const error = c.once(name, ...args);
    if (error !== 0) throw systemError(name, error, c.abi.os);
  }

  /** An array of pointers, NULL at the end. */
  function pointers(strings: readonly Memory[]): Memory {
    held.push(...strings);
    const array = memory(8 * (strings.length + 1));
    const view = new DataView(array.buffer);
    strings.forEach((string, i) => view.setBigUint64(8 * i, c.raw.address(string), true));
    return array;
  }

  /** By way of numbers above all of them: a descriptor must not be overwritten before it is used. */
  function arrange(actions: Memory, descriptors: readonly number[]): void {
    const above = Math.max(...descriptors, descriptors.length) + 1;
    const dup2 = "posix_spawn_file_actions_adddup2";
    descriptors.forEach((fd, i) => make(dup2, actions, fd, above + i));
    descriptors.forEach((_, i) => make(dup2, actions, above + i, i));
    descriptors.forEach((_, i) => make("posix_spawn_file_actions_addclose", actions, above + i));
  }

  return {
    spawn(path, argv, env, descriptors) {
      const file = cString(path);
      const args = argv.map(cString);
      const variables = Object.entries(env).map(([name, value]) => cString(`${name}=${value}`));
      const [actions, attributes, signals] = [memory(STRUCT), memory(STRUCT), memory(STRUCT)];
      signals[SIGPIPE_BYTE] = SIGPIPE_BIT;
      make("posix_spawn_file_actions_init", actions);
      try {
        make("posix_spawnattr_init", attributes); // an empty signal mask
        try {
          make("posix_spawnattr_setsigdefault", attributes, signals);
          make("posix_spawnattr_setflags", attributes, SETSIGDEF | SETSIGMASK);
          arrange(actions, descriptors);
          const [argvAt, envAt] = [pointers(args), pointers(variables)];
          make("posix_spawn", number, file, actions, attributes, argvAt, envAt);
        } finally {
          c.once("posix_spawnattr_destroy", attributes);
        }
      } finally {
        held.length = 0;
        c.once("posix_spawn_file_actions_destroy", actions);
      }
      return numberView.getInt32(0, true);
    },

    reap(pid) {
      if (c.value("waitpid", pid, number, WNOHANG) === 0) return undefined;
      const status = numberView.getInt32(0, true);
      const signal = status & 0x7f; // bit 7 tells of a core file
      return signal !== 0 ? signal : status & 0xff00;
    },
  };
}
