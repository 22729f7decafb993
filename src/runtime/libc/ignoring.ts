/** Starts children that ignore signals which this process handles. exec keeps an ignored signal
 *  ignored, but posix_spawn can only reset signals. So this process ignores them itself while it starts
 *  the child. No signal is lost meanwhile: the kernel keeps an ignored signal that is blocked. This
 *  thread blocks them for that time, and the other threads must always block them. */

import process from "node:process";
import { latin1 } from "../../codec/bytes.ts";
import { type Caller, type Memory, memory } from "./call.ts";

/** Calls `run` while this process ignores `signals`, by number. Throws SystemError. Linux only. */
export type WhileIgnoring = (signals: readonly number[], run: () => void) => void;

/** More than sigset_t and struct sigaction have (glibc: 128, 152). The handler of a struct sigaction
 *  is its first word. */
const STRUCT = 512;
const SIG_IGN = 1;
/** sigprocmask(2), on Linux. */
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

/** The function, which makes its calls through `c`. */
export function makeWhileIgnoring(c: Caller): WhileIgnoring {
  const ignored = memory(STRUCT);
  ignored[0] = SIG_IGN;
  const [set, before, unused] = [memory(STRUCT), memory(STRUCT), memory(STRUCT)];
  /** What the process did at each signal. */
  const handlers: Memory[] = [];
  return (signals, run) => {
    set.fill(0);
    for (const signal of signals) addSignal(set, signal);
    c.zero("sigprocmask", SIG_BLOCK, set, before);
    let changed = 0;
    try {
      for (const signal of signals) {
        c.zero("sigaction", signal, ignored, handlers[changed] ??= memory(STRUCT));
        changed++;
      }
      run();
    } finally {
      for (let at = 0; at < changed; at++) {
        c.zero("sigaction", signals[at] as number, handlers[at] as Memory, unused);
      }
      c.zero("sigprocmask", SIG_SETMASK, before, unused);
    }
  };
}

/** Adds a signal, by number, to a sigset_t. */
export function addSignal(set: Memory, signal: number): void {
  const at = (signal - 1) >> 3;
  set[at] = (set[at] ?? 0) | 1 << ((signal - 1) & 7);
}

/** Removes a signal from a sigset_t. */
export function removeSignal(set: Memory, signal: number): void {
  const at = (signal - 1) >> 3;
  set[at] = (set[at] ?? 0) & ~(1 << ((signal - 1) & 7));
}

/** True if every thread of this process except the first blocks all of `signals`; false if that is
 *  not known. `statusOf` returns /proc/self/task/N/status. */
export function othersBlock(
  signals: readonly number[],
  threads: readonly number[],
  statusOf: (thread: number) => Uint8Array | undefined,
): boolean {
  return threads.length > 0 && threads.every((thread) => {
    if (thread === process.pid) return true;
    const status = latin1(statusOf(thread) ?? new Uint8Array(0));
    const mask = BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? 0}`);
    return signals.every((signal) => (mask >> BigInt(signal - 1) & 1n) === 1n);
  });
}
