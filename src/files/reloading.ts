/** Values made from files, and made again when the files change: TLS contexts, client authorities,
 *  resolver settings. All of them follow the same contract:
 *
 *  - When the value is requested, the files are checked, at most once a second, and read if they have
 *    changed.
 *  - A load that fails keeps the old value in use. The files are read again when they change.
 *  - Each problem is reported once. It is reported again if it was gone in between, or after `reload`.
 *  - The consumer is told when the files are good again.
 *
 *  Access rules do not follow this contract: they fail closed (admit/rulebook.ts). */

import { reason } from "../errors.ts";
import { isShortage } from "./files.ts";

/** Least time between two checks of files, in milliseconds. */
export const RECHECK = 1000;

/** True if files that were checked at the time `checked` must be checked again. A clock that was
 *  set back must not keep an old value in use. */
export function isDue(checked: number, now: number): boolean {
  return now < checked || now - checked >= RECHECK;
}

/** The outcome of a load that did not fail. */
export interface Loaded<T> {
  readonly value: T;
  /** The time, in milliseconds of the clock, from which unchanged files give another value. */
  readonly until?: number;
  /** The parts that could not be used, and the consequence. */
  readonly problems?: readonly string[];
  /** False: an old part stays in use in place of a broken one. */
  readonly upToDate?: boolean;
}

/** How to make one kind of value. */
export interface ReloadSource<T> {
  /** The state of the files; see `signature`. */
  stamp(): string;
  /** Reads the files. `before`: the value in use, which may be returned if nothing is new.
   *  Throws. */
  load(before: Loaded<T> | undefined): Loaded<T>;
  /** Text after the reason of a failed load: `the old certificate stays in use`. */
  readonly kept: string;
  /** Called with the new problems of a reload. */
  report(problems: readonly string[]): void;
  /** Called after each successful load but the first. `again`: the files are good again. */
  onReload?(value: T, before: T, again: boolean): void;
}

export class Reloading<T> {
  #loaded: Loaded<T>;
  #stamp: string | undefined;
  #checked: number;
  /** The problems that have been reported. */
  #problems: readonly string[];
  #failed = false;

  /** Loads. Throws any error of the load. `now` returns milliseconds. */
  constructor(readonly source: ReloadSource<T>, readonly now: () => number) {
    this.#checked = now();
    this.#stamp = source.stamp(); // before the load, so that a change during it is noticed later
    this.#loaded = source.load(undefined);
    this.#problems = this.#loaded.problems ?? [];
  }

  /** The value of the files as they are now, or were less than a second ago. */
  get value(): T {
    if (isDue(this.#checked, this.now())) this.refresh();
    return this.#loaded.value;
  }

  /** The value in use, without a check of the files. */
  get current(): T {
    return this.#loaded.value;
  }

  /** Problems of the last load. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** False: an old value, or an old part of it, stays in use because its file is broken. */
  get upToDate(): boolean {
    return !this.#failed && this.#loaded.upToDate !== false;
  }

  /** Checks the files now, and loads if they have changed. */
  refresh(): void {
    this.#checked = this.now();
    const stamp = this.source.stamp();
    const { until = Infinity } = this.#loaded;
    if (stamp === this.#stamp && this.#checked < until) return;
    this.#stamp = stamp;
    this.#load();
  }

  /** Loads even if the files have not changed, and reports all problems. */
  reload(): void {
    this.#stamp = undefined;
    this.#problems = [];
    this.refresh();
  }

  #load(): void {
    const { source } = this;
    const before = this.#loaded;
    const logged = this.#problems;
    const wasSound = this.upToDate;
    try {
      this.#loaded = source.load(before);
      this.#problems = this.#loaded.problems ?? [];
      this.#failed = false;
    } catch (error) {
      this.#problems = [`${reason(error)}; ${source.kept}`];
      this.#failed = true;
      if (isShortage(error)) this.#stamp = undefined; // the files may be good: try again
    }
    const fresh = this.#problems.filter((text) => !logged.includes(text));
    if (fresh.length > 0) source.report(fresh);
    if (!this.#failed) {
      source.onReload?.(this.#loaded.value, before.value, !wasSound && this.upToDate);
    }
  }
}
