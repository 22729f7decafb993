/** Starts programs with libc and reports when they end, on both runtimes. The runtimes' own
 *  functions cost more (Bun: an object, a descriptor and its registration for each program), or
 *  pass unwanted copies of the descriptors to the program (Deno). */

import { constants } from "node:os";
import { signalChild } from "./child.ts";
import { othersBlock } from "./libc/ignoring.ts";
import { readOwn } from "./libc/inherited.ts";
import type { Libc } from "./libc/libc.ts";
import { lookUp } from "./look_up.ts";
import type { Launched, LaunchOptions } from "./runtime.ts";

/** How long a path found in $PATH is used again, in milliseconds. */
const FOUND = 1000;
/** Interval of the check for ended children, in milliseconds. Needed because SIGCHLD can be lost
 *  when other code in this process handles it. */
const CHECK_INTERVAL = 1000;

/** Differs between runtimes. `on`: calls `handler` for each SIGCHLD from now on; otherwise stops
 *  that. */
export type WatchChildren = (handler: () => void, on: boolean) => void;

interface Found {
  readonly path: string;
  readonly argv: readonly string[];
  readonly at: number;
}

/** Starts children, and resolves `exited` when they have been reaped. */
export class Launcher {
  /** Children not reaped yet: the callback for the wait status, by process id. */
  readonly #running = new Map<number, (status: number) => void>();
  readonly #found = new WeakMap<readonly string[], Found>();
  /** Set while SIGCHLD is watched. Keeps the event loop alive while a child runs. */
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Children that the runtime reaps. */
  readonly #others = new Set<number>();
  /** Children of neither the runtime nor this object are reaped too. */
  #reapsAll = false;
  /** Signals, by number, that children ignore. */
  #ignored: readonly number[] = [];

  constructor(readonly libc: Libc, readonly watch: WatchChildren, readonly find = lookUp) {}

  /** Reaps every child from now on: process 1 of a container inherits orphans, and a process keeps
   *  its children across exec. Not for use in the library: the wait status of a child of other code
   *  would be lost. */
  reapAll(): void {
    if (this.#reapsAll) return;
    this.#reapsAll = true;
    this.#watch();
    this.#idle();
    this.#reap();
  }

  /** See `Runtime.keepIgnored`. */
  keepIgnored(names: readonly string[]): readonly string[] {
    const { libc } = this;
    const numbers = names.map((name) => constants.signals[name as NodeJS.Signals]);
    const status = (thread: number) => readOwn(libc, `task/${thread}/status`);
    if (!libc.confines || !othersBlock(numbers, libc.threads(), status)) return names;
    this.#ignored = numbers;
    return [];
  }

  /** Leaves it to the runtime to reap this child, until `ended` settles. */
  leave(pid: number, ended: Promise<unknown>): void {
    this.#others.add(pid);
    ended.finally(() => this.#others.delete(pid));
  }

  /** See `Runtime.launch`. */
  launch(
    { command, argv0, env, base, descriptors, blocked, user }: LaunchOptions,
  ): Launched {
    if (user) throw new Error("libc cannot start a program as another user");
    const { path, argv } = this.#find(command, argv0);
    this.#watch(); // before the start, because the child may end before the next statement
    let pid: number;
    try {
      const mask = blocked && constants.signals[blocked];
      pid = this.libc.withFirstFileLimit(() =>
        this.libc.spawn(path, argv, env, descriptors, base, mask, this.#ignored)
      );
    } catch (error) {
      this.#found.delete(command);
      this.#idle();
      throw error;
    }
    const exited = new Promise<number>((resolve) => this.#running.set(pid, resolve));
    return {
      pid,
      exited,
      kill: (signal) =>
        this.#running.has(pid) &&
        signalChild(signal, (name) => this.libc.kill(pid, constants.signals[name])),
    };
  }

  #find(command: readonly string[], argv0: string | undefined): Found {
    const now = performance.now();
    const known = this.#found.get(command);
    if (known && now - known.at < FOUND) return known;
    const [name = "", ...args] = command;
    const path = this.find(name);
    // Reuse the same array: libc has already converted it for C.
    const argv = known?.argv ?? [argv0 ?? name, ...args];
    const found = { path, argv, at: now };
    this.#found.set(command, found);
    return found;
  }

  #watch(): void {
    if (this.#timer === undefined) {
      this.watch(this.#reap, true);
      this.#timer = setInterval(this.#check, CHECK_INTERVAL);
    } else if (this.#running.size === 0) this.#timer.ref();
  }

  #idle(): void {
    if (this.#running.size === 0) this.#timer?.unref();
  }

  readonly #check = (): void => {
    this.#reap();
    if (this.#running.size > 0 || this.#reapsAll) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.watch(this.#reap, false);
  };

  /** Reaps all ended children: one SIGCHLD may stand for many. */
  readonly #reap = (): void => {
    for (;;) {
      const pid = this.libc.ended();
      if (pid === 0) break;
      if (pid !== undefined && this.#isStray(pid)) {
        this.libc.reap(pid);
        continue;
      }
      if (pid === undefined || !this.#running.has(pid)) {
        // A child of other code, which must reap it. It may hide ours, so ask for each of ours.
        for (const pid of this.#running.keys()) this.#take(pid);
        break;
      }
      this.#take(pid);
    }
    this.#idle();
  };

  #isStray(pid: number): boolean {
    return this.#reapsAll && !this.#running.has(pid) && !this.#others.has(pid);
  }

  #take(pid: number): void {
    const status = this.libc.reap(pid);
    if (status === undefined) return;
    const tell = this.#running.get(pid);
    this.#running.delete(pid);
    tell?.(status);
  }
}
