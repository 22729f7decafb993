/** Values that are made of files, and made again when the files change: TLS contexts, client authorities,
 *  resolver settings. One contract for all of them:
 *
 *  - The files are looked at when the value is asked for, once a second at most, and read when they have changed.
 *  - A load that fails keeps the old value in use. The files are read again when they change.
 *  - Each problem is reported once. It is reported again after it was gone in between, or after `reload`.
 *  - The consumer is told when the files are good again.
 *
 *  Access rules do not follow it: they fail closed (admit/rulebook.ts). */

import { reason } from "../errors.ts";
import { isShortage } from "./files.ts";

/** Files are looked at again after so many milliseconds at the earliest. */
export const RECHECK = 1000;

/** True when files looked at at `checked` are to be looked at again. A clock that was set back must not keep
 *  an old value in use. */
export function isDue(checked: number, now: number): boolean {
  return now < checked || now - checked >= RECHECK;
}

/** The outcome of a load that did not fail. */
export interface Loaded<T> {
  readonly value: T;
  /** From then on, in milliseconds of the clock, the same files give another value. */
  readonly until?: number;
  /** Parts that could not be used, and what became of them. */
  readonly problems?: readonly string[];
  /** False: an old part stays in use in place of a broken one. */
  readonly sound?: boolean;
}

/** What one kind of value is made of. */
export interface ReloadSource<T> {
  /** The state of the files; see `signature`. */
  stamp(): string;
  /** Reads the files. `before`: what is in use, which may be returned when nothing is new. Throws. */
  load(before: Loaded<T> | undefined): Loaded<T>;
  /** Stands behind the reason of a failed load: `the old certificate stays in use`. */
  readonly kept: string;
  /** Takes the problems of a reload that are new. */
  report(problems: readonly string[]): void;
  /** Takes each outcome but the first. `again`: a problem is over. */
  onReload?(value: T, before: T, again: boolean): void;
}

export class Reloading<T> {
  #loaded: Loaded<T>;
  #stamp: string | undefined;
  #checked: number;
  /** Those that have been reported. */
  #problems: readonly string[];
  #failed = false;

  /** Loads; throws what the load throws. `now`: milliseconds. */
  constructor(readonly source: ReloadSource<T>, readonly now: () => number) {
    this.#checked = now();
    this.#stamp = source.stamp(); // before the load: a change in between shows up as one later
    this.#loaded = source.load(undefined);
    this.#problems = this.#loaded.problems ?? [];
  }

  /** The value by the files as they are now, or were less than a second ago. */
  get value(): T {
    if (isDue(this.#checked, this.now())) this.look();
    return this.#loaded.value;
  }

  /** The value in use. The files are not looked at. */
  get current(): T {
    return this.#loaded.value;
  }

  /** Problems of the last load. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** False: something old stays in use because its file is broken. */
  get sound(): boolean {
    return !this.#failed && this.#loaded.sound !== false;
  }

  /** Looks at the files now, and loads when they have changed. */
  look(): void {
    this.#checked = this.now();
    const stamp = this.source.stamp();
    const { until = Infinity } = this.#loaded;
    if (stamp === this.#stamp && this.#checked < until) return;
    this.#stamp = stamp;
    this.#load();
  }

  /** Loads, whether the files have changed or not, and reports all problems. */
  reload(): void {
    this.#stamp = undefined;
    this.#problems = [];
    this.look();
  }

  #load(): void {
    const { source } = this;
    const before = this.#loaded;
    const said = this.#problems;
    const wasSound = this.sound;
    try {
      this.#loaded = source.load(before);
      this.#problems = this.#loaded.problems ?? [];
      this.#failed = false;
    } catch (error) {
      this.#problems = [`${reason(error)}; ${source.kept}`];
      this.#failed = true;
      if (isShortage(error)) this.#stamp = undefined; // nothing is wrong with the files: try again
    }
    const fresh = this.#problems.filter((text) => !said.includes(text));
    if (fresh.length > 0) source.report(fresh);
    if (!this.#failed) source.onReload?.(this.#loaded.value, before.value, !wasSound && this.sound);
  }
}
