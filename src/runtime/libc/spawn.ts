/** Starts programs with exactly the given descriptors, and reaps them. Done for every connection,
 *  so data that does not change between connections is converted once. */

import { encodeOsText } from "../../codec/os_text.ts";
import { systemError } from "./errno.ts";
import { type Caller, cString, type Memory, memory } from "./call.ts";
import { addSignal, makeWhileIgnoring, removeSignal } from "./ignoring.ts";

/** Calls about programs. All throw SystemError. */
export interface SpawnCalls {
  /** Runs the file `path` with `argv` (its own name first) and `env`; `descriptors[n]` becomes its
   *  descriptor n, unless it is undefined. Others are closed if they are marked close-on-exec.
   *  Signals have their default action in it, except `ignored` (see ignoring.ts), and only
   *  `blocked`, a signal's number, is blocked.
   *  Variables of `base` are added unless `env` has the name. `argv` and `base` are converted for C
   *  only once, so they must not change afterwards. Returns the process id; the caller reaps it
   *  with `reap`. */
  spawn(
    path: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
    descriptors: readonly (number | undefined)[],
    base?: Readonly<Record<string, string>>,
    blocked?: number,
    ignored?: readonly number[],
  ): number;
  /** The wait status of a child that has ended: exit code × 256, or the signal's number. Undefined
   *  while it runs. */
  reap(pid: number): number | undefined;
  /** Process id of any child that has ended and is not reaped; 0 if there is none. Undefined if the
   *  system cannot tell. */
  ended(): number | undefined;
}

/** Enough for posix_spawn_file_actions_t, posix_spawnattr_t, sigset_t and siginfo_t (glibc: 80, 336,
 *  128, 128). */
const STRUCT = 512;
/** posix_spawnattr_setflags; the same bits on Linux and macOS. */
const SETSIGDEF = 4;
const SETSIGMASK = 8;
/** Bytes of a sigset_t that stand for signals, on Linux and macOS. All signals are reset: both
 *  runtimes ignore SIGPIPE, and exec would keep that. With glibc this takes less time than finding
 *  out which ones need it. */
const SIGNALS = 8;
const WNOHANG = 1;
/** waitid(2), on Linux. */
const P_ALL = 0;
const WEXITED = 4;
const WNOWAIT = 0x1000000;
const SI_PID = 16;

const NONE: readonly number[] = [];

const ENCODER = new TextEncoder();

/** Writes the bytes of `text` (os_text.ts) to `room`. Returns how many. */
function encodeInto(text: string, room: Uint8Array): number {
  if (text.isWellFormed()) return ENCODER.encodeInto(text, room).written;
  const bytes = encodeOsText(text);
  room.set(bytes);
  return bytes.length;
}

/** C strings, one after another, and their addresses. */
interface Strings {
  readonly bytes: Memory;
  /** Addresses, as they lie in memory, and NULL. */
  readonly pointers: Memory;
}

/** The calls, made through `c`. */
export function spawnCalls(c: Caller): SpawnCalls {
  const number = memory(4);
  const numberView = new DataView(number.buffer);
  const info = memory(STRUCT);
  const infoView = new DataView(info.buffer);
  const actions = memory(STRUCT);
  const whileIgnoring = makeWhileIgnoring(c);
  /** The converted strings of each `argv` and `base`, by the object. */
  const ready = new WeakMap<object, Strings>();
  /** Strings of which C gets only the addresses. Kept here, so that they are not collected
   *  meanwhile. */
  const held: Strings[] = [];
  /** By the signal that is blocked (0 for none) and those that are ignored. Made once, and never
   *  destroyed. */
  const attributes = new Map<string, Memory>();
  let lastPath: { readonly path: string; readonly file: Memory } | undefined;
  /** The variables of one program, and the pointers to all of them. */
  let room = memory(4096);
  let roomAt = c.raw.address(room);
  let table = memory(1024);

  /** Makes a call that returns the error number and does not set errno. */
  function make(name: string, ...args: (number | Memory)[]): void {
    const error = c.once(name, ...args);
    if (error !== 0) throw systemError(name, error, c.abi.os);
  }

  /** The attributes of a start: only these signals ignored, and only this one blocked. */
  function attributesWith(blocked: number, ignored: readonly number[]): Memory {
    const key = `${blocked}:${ignored}`;
    const found = attributes.get(key);
    if (found) return found;
    const [made, signals, mask] = [memory(STRUCT), memory(STRUCT), memory(STRUCT)];
    signals.fill(0xff, 0, SIGNALS);
    for (const signal of ignored) removeSignal(signals, signal);
    if (blocked > 0) addSignal(mask, blocked);
    make("posix_spawnattr_init", made);
    make("posix_spawnattr_setsigdefault", made, signals);
    make("posix_spawnattr_setsigmask", made, mask);
    make("posix_spawnattr_setflags", made, SETSIGDEF | SETSIGMASK);
    attributes.set(key, made);
    return made;
  }

  function strings(texts: readonly string[]): Strings {
    const all = texts.map(cString);
    const bytes = concatenated(all);
    const pointers = memory(8 * (texts.length + 1));
    const view = new DataView(pointers.buffer);
    let at = texts.length > 0 ? c.raw.address(bytes) : 0n;
    all.forEach(({ length }, i) => {
      view.setBigUint64(8 * i, at, true);
      at += BigInt(length);
    });
    return { bytes, pointers };
  }

  function prepared(key: object, texts: () => readonly string[]): Strings {
    const found = ready.get(key) ?? strings(texts());
    ready.set(key, found);
    held.push(found);
    return found;
  }

  function fileOf(path: string): Memory {
    if (lastPath?.path !== path) lastPath = { path, file: cString(path) };
    return lastPath.file;
  }

  /** Pointers: `first`, then the strings in `room` at `offsets`, then NULL. Valid until the next
   *  call. */
  function pointersTo(first: Memory, offsets: readonly number[]): Memory {
    const length = first.length + 8 * (offsets.length + 1);
    if (table.length < length) table = memory(2 * length);
    table.set(first);
    const view = new DataView(table.buffer);
    let at = first.length;
    for (const offset of offsets) {
      view.setBigUint64(at, roomAt + BigInt(offset), true);
      at += 8;
    }
    view.setBigUint64(at, 0n, true);
    return table;
  }

  /** Writes the variables to `room`. Returns where each begins. */
  function write(env: readonly (readonly [string, string])[]): number[] {
    const texts = env.map(([name, value]) => `${name}=${value}`);
    let most = 0;
    for (const text of texts) {
      if (text.includes("\0")) {
        throw new TypeError("unable to pass a string to C: it contains a NUL");
      }
      most += 3 * text.length + 1; // UTF-8 of a UTF-16 unit has three bytes at most
    }
    if (room.length < most) {
      room = memory(most);
      roomAt = c.raw.address(room);
    }
    let at = 0;
    return texts.map((text) => {
      const begin = at;
      at += encodeInto(text, room.subarray(at));
      room[at++] = 0;
      return begin;
    });
  }

  function environment(
    env: Readonly<Record<string, string>>,
    base: Readonly<Record<string, string>> | undefined,
  ): Memory {
    const own = Object.entries(env);
    if (!base) return pointersTo(memory(0), write(own));
    if (own.some(([name]) => Object.hasOwn(base, name))) {
      return pointersTo(memory(0), write(Object.entries({ ...base, ...env })));
    }
    const texts = () => Object.entries(base).map(([name, value]) => `${name}=${value}`);
    const { pointers } = prepared(base, texts);
    return pointersTo(pointers.subarray(0, -8), write(own));
  }

  function arrange(descriptors: readonly (number | undefined)[]): void {
    const dup2 = "posix_spawn_file_actions_adddup2";
    const count = descriptors.length;
    if (descriptors.every((fd, i) => fd === undefined || fd >= count || fd === i)) {
      descriptors.forEach((fd, i) => fd === undefined || make(dup2, actions, fd, i));
      return;
    }
    // First copy each to a number above all of them, so that none is overwritten before it is used.
    const above = Math.max(...descriptors.map((fd) => fd ?? 0), count) + 1;
    descriptors.forEach((fd, i) => fd === undefined || make(dup2, actions, fd, above + i));
    descriptors.forEach((fd, i) => {
      if (fd === undefined) return;
      make(dup2, actions, above + i, i);
      make("posix_spawn_file_actions_addclose", actions, above + i);
    });
  }

  return {
    spawn(path, argv, env, descriptors, base, blocked = 0, ignored = NONE) {
      const file = fileOf(path);
      const attributes = attributesWith(blocked, ignored);
      make("posix_spawn_file_actions_init", actions);
      try {
        const argvAt = prepared(argv, () => argv).pointers;
        const envAt = environment(env, base);
        arrange(descriptors);
        const start = () => make("posix_spawn", number, file, actions, attributes, argvAt, envAt);
        if (ignored.length === 0) start();
        else whileIgnoring(ignored, start);
      } finally {
        held.length = 0;
        c.once("posix_spawn_file_actions_destroy", actions);
      }
      return numberView.getInt32(0, true);
    },

    reap(pid) {
      if (c.value("waitpid", pid, number, WNOHANG) === 0) return undefined;
      const status = numberView.getInt32(0, true);
      const signal = status & 0x7f; // bit 7: a core file was written
      return signal !== 0 ? signal : status & 0xff00;
    },

    ended() {
      if (c.abi.os !== "linux") return undefined;
      infoView.setInt32(SI_PID, 0, true); // stays 0 where there is none
      const result = c.once("waitid", P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT);
      if (result === 0) return infoView.getInt32(SI_PID, true);
      const error = c.error("waitid");
      if (error.code === "ECHILD") return 0;
      throw error;
    },
  };
}

function concatenated(all: readonly Memory[]): Memory {
  const bytes = memory(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of all) {
    bytes.set(one, at);
    at += one.length;
  }
  return bytes;
}
