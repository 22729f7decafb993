/** Kinds of options for the tables of all commands: flags, texts, numbers, words and networks, and
 *  the errors for their values. */

import { type Network, parseNetwork } from "../codec/ip.ts";
import { UsageError } from "../errors.ts";
import type { Option } from "./getopt.ts";

/** Largest values accepted: the limits of the system's types, or values beyond any sensible use. */
export const MAX = {
  workers: 256,
  count: 1_000_000,
  seconds: 2_000_000,
  backlog: 65_535,
  id: 4_294_967_294,
  descriptor: 1_048_575,
  banner: 1024,
};

/** Sets an option. The result is ignored, so that an assignment can be used as the body. */
type Setter<T, Value> = (options: T, value: Value) => unknown;

/** Functions that make the options of a command that collects them in a `T`. */
export interface OptionKinds<T> {
  flag(name: string, help: string, set: (options: T) => unknown): Option<T>;
  text(name: string, value: string, help: string, set: Setter<T, string>): Option<T>;
  /** A whole number from `min` to `max`. */
  number(
    name: string,
    value: string,
    help: string,
    min: number,
    max: number,
    set: Setter<T, number>,
  ): Option<T>;
  seconds(name: string, help: string, set: Setter<T, number>): Option<T>;
}

export function optionKinds<T>(): OptionKinds<T> {
  const kinds: OptionKinds<T> = {
    flag: (name, help, set) => ({ name, help, set: (o) => void set(o) }),
    text: (name, value, help, set) => ({ name, value, help, set: (o, v) => void set(o, v) }),
    number: (name, value, help, min, max, set) => ({
      name,
      value,
      help,
      set: (o, v) => void set(o, wholeNumber(name, v, min, max)),
    }),
    seconds: (name, help, set) => kinds.number(name, "s", help, 1, MAX.seconds, set),
  };
  return kinds;
}

/** Reads a whole number. Throws `UsageError`. `name`: the option or, with a dollar sign, the
 *  variable. `or`: what else is accepted, for the message. */
export function wholeNumber(
  name: string,
  value: string,
  min: number,
  max: number,
  or = "",
): number {
  const n = /^[0-9]{1,10}$/.test(value) ? Number(value) : NaN;
  if (!(n >= min && n <= max)) throw badValue(name, value, `a number from ${min} to ${max}${or}`);
  return n;
}

/** Returns `value`. Throws `UsageError` if it is not one of the words. */
export function oneWord<T extends string>(name: string, value: string, words: readonly T[]): T {
  const word = words.find((word) => word === value);
  if (word === undefined) {
    const all = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
    throw badValue(name, value, all);
  }
  return word;
}

/** The error for a value. `wanted`: as in `option -c needs <wanted>`. */
export function badValue(name: string, value: string, wanted: string): UsageError {
  const what = name.startsWith("$") ? name : `option ${name}`;
  return new UsageError(`${what} needs ${wanted}, not '${value}'`);
}

/** True for a name that useradd(8) accepts. Some systems also allow capitals, dots and a final
 *  dollar sign. */
export function isName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?$/.test(text);
}

/** Parses `10.0.0.0/8` or an address. Throws `UsageError`. */
export function network(name: string, text: string): Network {
  try {
    return parseNetwork(text);
  } catch {
    throw badValue(name, text, "networks such as 10.0.0.0/8,2001:db8::/32");
  }
}

/** A text that fits into the system's buffer of a new connection, so that sending it never waits.
 *  Throws `UsageError`. */
export function shortText(name: string, text: string): string {
  if (new TextEncoder().encode(text).length <= MAX.banner) return text;
  throw badValue(name, `${text.slice(0, 20)}...`, `at most ${MAX.banner} bytes`);
}
