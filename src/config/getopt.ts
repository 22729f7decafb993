/** Reads the options of a command line, by a table. As in POSIX getopt, options can be clustered
 *  (`-vHRl0`), values are attached or separate, the last of several options wins, and options end
 *  at the first operand or at `--`. Digits can be options (-1 -3 -4 -6). The table defines what
 *  each option does. */

import { UsageError } from "../errors.ts";
import { isOneEdit } from "./edit_distance.ts";
import type { Print } from "./options.ts";
import type { Env } from "./variables.ts";

/** One option of a command that collects its options in a `T`. */
export interface Option<T> {
  /** `-c` or `--pending`. */
  readonly name: string;
  /** Name of the value in the help, or its possible values as `a|b`. Absent: the option is a
   *  flag. In brackets: the value is optional, and empty by default. */
  readonly value?: string;
  readonly help: string;
  /** A long option whose value is only taken after `=`. */
  readonly joined?: true;
  /** Sets the option. Returns something to print if the command must print it instead of its
   *  work. Throws `UsageError`. */
  set(options: T, value: string, env: Env): Print | void;
}

/** Options under one heading of the help. */
export interface OptionGroup<T> {
  readonly title: string;
  readonly options: readonly Option<T>[];
}

/** The options of a command by their names. */
export type OptionsByName<T> = ReadonlyMap<string, Option<T>>;

export function optionsByName<T>(groups: readonly OptionGroup<T>[]): OptionsByName<T> {
  return new Map(
    groups.flatMap(({ options }) => options).map((option) => [option.name, option]),
  );
}

/** Reads the options at the start of `argv` into `options`. Returns the operands. If an option asks
 *  for something to be printed, stops there and returns that request. Throws `UsageError`. */
export function readOptions<T>(
  table: OptionsByName<T>,
  options: T,
  argv: readonly string[],
  env: Env,
): string[] | Print {
  let i = 0;
  for (; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      i++;
      break;
    }
    if (!arg.startsWith("-") || arg.length === 1) break;
    const read = arg.startsWith("--") ? longOption : cluster;
    const { taken, print } = read(table, options, arg, argv[i + 1], env);
    if (print) return print;
    i += taken;
  }
  return argv.slice(i);
}

/** The number of further arguments used, and a request to print something, which ends the
 *  reading. */
interface Read {
  taken: 0 | 1;
  print?: Print | void;
}

/** `--name value` or `--name=value`. */
function longOption<T>(
  table: OptionsByName<T>,
  options: T,
  arg: string,
  next: string | undefined,
  env: Env,
): Read {
  const equals = arg.indexOf("=");
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const option = find(table, name);
  if (option.value === undefined) {
    if (equals >= 0) throw new UsageError(`option ${name} takes no value`);
    return { taken: 0, print: option.set(options, "", env) };
  }
  const optional = option.value.startsWith("[");
  const after = option.joined ? undefined : next;
  const value = equals >= 0 ? arg.slice(equals + 1) : after ?? (optional ? "" : undefined);
  if (value === undefined) throw missingValue(name, option);
  return { taken: equals < 0 ? 1 : 0, print: option.set(options, value, env) };
}

/** `-vHRl0`: flags, then optionally an option whose value is the rest, or the next argument. */
function cluster<T>(
  table: OptionsByName<T>,
  options: T,
  arg: string,
  next: string | undefined,
  env: Env,
): Read {
  for (let at = 1; at < arg.length; at++) {
    const name = `-${arg[at]}`;
    const option = find(table, name, arg);
    if (option.value === undefined) {
      option.set(options, "", env);
      continue;
    }
    const attached = arg.slice(at + 1);
    const value = attached || next;
    if (value === undefined) throw missingValue(name);
    option.set(options, value, env);
    return { taken: attached ? 0 : 1 };
  }
  return { taken: 0 };
}

/** Finds an option. `arg` is the whole argument. Throws `UsageError`. */
function find<T>(table: OptionsByName<T>, name: string, arg = name): Option<T> {
  const option = table.get(name);
  if (option) return option;
  const meant = similarOption(table, arg);
  throw new UsageError(`unknown option ${name}`, meant && `did you mean ${meant}?`);
}

function missingValue(name: string, { joined }: { joined?: true } = {}): UsageError {
  return new UsageError(`option ${name} needs a value`, joined && `write ${name}=VALUE`);
}

/** The long option that was probably meant: `arg` has one dash, or is shortened or misspelled. */
function similarOption<T>(table: OptionsByName<T>, arg: string): string | undefined {
  const word = arg.replace(/^-+/, "").replace(/=.*/s, "");
  if (word.length < 2) return undefined;
  const names = [...table.keys()].filter((name) => name.startsWith("--"));
  const begun = names.filter((name) => name.startsWith(`--${word}`));
  return begun.length === 1 ? begun[0] : names.find((name) => isOneEdit(word, name.slice(2)));
}
