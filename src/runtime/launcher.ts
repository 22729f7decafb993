/** Programs started by libc and told about when they end, on both runtimes. Their own ways cost more
 *  (Bun: an object, a descriptor and its registration for each), or cannot pass descriptors without
 *  handing on copies of them (Deno). */

import { constants } from "node:os";
import { signalChild } from "./child.ts";
import type { Libc } from "./libc/libc.ts";
import { lookUp } from "./look_up.ts";
import type { Launched, LaunchOptions } from "./runtime.ts";

/** What was found in $PATH is believed for so many milliseconds. */
const FOUND = 1000;
/** Ends are looked for at least once in so many milliseconds: a signal can be lost when somebody else
 *  in this process handles it. */
const LOOK = 1000;

/** What differs between runtimes: calls `handler` for each SIGCHLD, or no more. */
export type WatchChildren = (handler: () => void, on: boolean) => void;

interface Found {
  readonly path: string;
  readonly argv: readonly string[];
  readonly at: number;
}

/** Starts children and tells of their ends. */
export class Launcher {
  /** Children not reaped yet: by process id, what to tell. */
  readonly #running = new Map<number, (status: number) => void>();
  readonly #found = new WeakMap<readonly string[], Found>();
  /** While the signal is watched. It keeps the process from ending as long as a child runs. */
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Children that the runtime waits for. */
  readonly #others = new Set<number>();
  /** What is neither of the runtime nor ours is reaped too. */
  #reapsAll = false;

  constructor(readonly libc: Libc, readonly watch: WatchChildren, readonly find = lookUp) {}

  /** From now on every child is reaped: as process 1 of a container this process inherits the orphans,
   *  and exec leaves it the children of the program before. Only for a process that is all ours: a
   *  status that somebody else waits for would be lost. */
  reapAll(): void {
    if (this.#reapsAll) return;
    this.#reapsAll = true;
    this.#watch();
    this.#idle();
    this.#reap();
  }

  /** The runtime waits for this child until `ended`. */
  leave(pid: number, ended: Promise<unknown>): void {
    this.#others.add(pid);
    ended.finally(() => this.#others.delete(pid));
  }

  /** See `Runtime.launch`. */
  launch(
    { command, argv0, env, base, descriptors, blocked, user }: LaunchOptions,
  ): Launched {
    if (user) throw new Error("libc starts no program as somebody else");
    const { path, argv } = this.#find(command, argv0);
    this.#watch(); // before: it may end before the next statement
    let pid: number;
    try {
      const mask = blocked && constants.signals[blocked];
      pid = this.libc.withFirstFileLimit(() =>
        this.libc.spawn(path, argv, env, descriptors, base, mask)
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
    // The list that is known is ready for C.
    const argv = known?.argv ?? [argv0 ?? name, ...args];
    const found = { path, argv, at: now };
    this.#found.set(command, found);
    return found;
  }

  #watch(): void {
    if (this.#timer === undefined) {
      this.watch(this.#reap, true);
      this.#timer = setInterval(this.#look, LOOK);
    } else if (this.#running.size === 0) this.#timer.ref();
  }

  #idle(): void {
    if (this.#running.size === 0) this.#timer?.unref();
  }

  readonly #look = (): void => {
    this.#reap();
    if (this.#running.size > 0 || this.#reapsAll) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.watch(this.#reap, false);
  };

  /** One signal may stand for many. */
  readonly #reap = (): void => {
    for (;;) {
      const pid = this.libc.ended();
      if (pid === 0) break;
      if (pid !== undefined && this.#isStray(pid)) {
        this.libc.reap(pid);
        continue;
      }
      if (pid === undefined || !this.#running.has(pid)) {
        // Somebody else's child, whose end is theirs to take: it may stand before ours.
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
