/** Parses the command line. As in POSIX getopt, options can be clustered (`-vHRl0`), values are
 *  attached or separate, the last of several options wins, and options end at the first operand
 *  or at `--`. Digits are options (-1 -3 -4 -6). Options that ucspi-ssl does not have are long. */

import { UsageError } from "../errors.ts";
import { oneOff } from "./one_off.ts";
import { type Option, OPTIONS } from "./option_table.ts";
import { defaults, type Options, type ParsedArguments, type Print } from "./options.ts";
import type { Env } from "./variables.ts";

export const OPTIONS_BY_NAME = new Map(
  OPTIONS.flatMap(({ options }) => options).map((option) => [option.name, option]),
);

/** Reads the arguments after the program's name. Throws `UsageError`. */
export function parseOptions(argv: readonly string[], env: Env): ParsedArguments {
  const options = defaults();
  let i = 0;
  for (; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === "--") {
      i++;
      break;
    }
    if (!arg.startsWith("-") || arg.length === 1) break;
    const read = arg.startsWith("--") ? longOption : cluster;
    const { taken, print } = read(options, arg, argv[i + 1], env);
    if (print) return print;
    i += taken;
  }
  const [host, port, ...command] = argv.slice(i);
  if (host === undefined) throw new UsageError("host, port and prog are missing");
  refuseJoined(host);
  if (port === undefined) throw new UsageError("port and prog are missing");
  if (command.length === 0) throw new UsageError("prog is missing");
  return { serve: { ...options, host, port, command } };
}

/** The number of further arguments used; and what to print, which ends the parsing. */
interface Read {
  taken: 0 | 1;
  print?: Print | void;
}

/** `--name value` or `--name=value`. */
function longOption(options: Options, arg: string, next: string | undefined, env: Env): Read {
  const equals = arg.indexOf("=");
  const name = equals < 0 ? arg : arg.slice(0, equals);
  const option = find(name);
  if (option.value === undefined) {
    if (equals >= 0) throw new UsageError(`option ${name} takes no value`);
    return { taken: 0, print: option.set(options, "", env) };
  }
  const optional = option.value.startsWith("[");
  const value = equals >= 0 ? arg.slice(equals + 1) : next ?? (optional ? "" : undefined);
  if (value === undefined) throw missingValue(name);
  return { taken: equals < 0 ? 1 : 0, print: option.set(options, value, env) };
}

/** `-vHRl0`: flags, then optionally an option whose value is the rest, or the next argument. */
function cluster(options: Options, arg: string, next: string | undefined, env: Env): Read {
  for (let at = 1; at < arg.length; at++) {
    const name = `-${arg[at]}`;
    const option = find(name, arg);
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
export function find(name: string, arg = name): Option {
  const option = OPTIONS_BY_NAME.get(name);
  if (option) return option;
  const meant = similarOption(arg);
  throw new UsageError(`unknown option ${name}`, meant && `did you mean ${meant}?`);
}

function missingValue(name: string): UsageError {
  return new UsageError(`option ${name} needs a value`);
}

export const USAGE = "sslserver [opts] host port prog [args]";

/** Throws `UsageError` for `localhost:465`. A name has no colon; an IPv6 address has several, or
 *  is in brackets. */
export function refuseJoined(host: string): void {
  const [, alone, port] = /^([^:]+|\[[^\]]*\]):([0-9A-Za-z-]+)$/.exec(host) ?? [];
  if (alone === undefined || port === undefined) return;
  throw new UsageError(`host and port are one word: '${host}'`, `write ${alone} ${port}`);
}

/** The long option that was probably meant: `arg` has one dash, or is shortened or misspelled. */
export function similarOption(arg: string): string | undefined {
  const word = arg.replace(/^-+/, "").replace(/=.*/s, "");
  if (word.length < 2) return undefined;
  const names = [...OPTIONS_BY_NAME.keys()].filter((name) => name.startsWith("--"));
  const begun = names.filter((name) => name.startsWith(`--${word}`));
  return begun.length === 1 ? begun[0] : names.find((name) => oneOff(word, name.slice(2)));
}
