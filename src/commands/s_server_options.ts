/** Reads the command line of `s_server`: long options with one dash or two, each value in the word
 *  that follows or after `=`. No operands. The long options of sslserver count too, with two dashes;
 *  where both have a name, OpenSSL's meaning counts. */

import { isOneEdit } from "../config/edit_distance.ts";
import { type Option, optionsByName } from "../config/getopt.ts";
import { oneWord } from "../config/option_kinds.ts";
import { OPTIONS } from "../config/option_table.ts";
import { type Options, PAGES, type Print } from "../config/options.ts";
import type { Env } from "../config/variables.ts";
import { UsageError } from "../errors.ts";
import type { ServerSettings } from "./s_server_settings.ts";
import type { SServerOption } from "./s_server_kinds.ts";
import { S_SERVER_OPTIONS } from "./s_server_table.ts";

/** Options of sslserver that serve in place of a program, or are OpenSSL's here. */
const FOREIGN = ["--echo", "--www", "--files", "--handler", "--trace", "--workers", "--keylog"];

/** The long options of sslserver that count here. */
export function inheritedOptions(): Option<Options>[] {
  return OPTIONS.flatMap(({ options }) => options)
    .filter(({ name }) => name.startsWith("--") && !FOREIGN.includes(name) && name !== "--man");
}

/** The options by their names, without dashes. */
export function sServerOptions(): ReadonlyMap<string, SServerOption> {
  const all = S_SERVER_OPTIONS.flatMap(({ options }) => options);
  return new Map(all.map((option) => [option.name.slice(1), option]));
}

/** Reads the arguments into `settings`. Returns something to print in place of serving. Throws
 *  `UsageError`. */
export function readSServerOptions(
  settings: ServerSettings,
  argv: readonly string[],
  env: Env,
): Print | undefined {
  const own = sServerOptions();
  const inherited = optionsByName([{ title: "", options: inheritedOptions() }]);
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (!/^--?[^-]/.test(arg)) {
      throw new UsageError(`s_server has no operands, and there is one: '${arg}'`);
    }
    const equals = arg.indexOf("=");
    const written = equals < 0 ? arg : arg.slice(0, equals);
    const name = written.replace(/^--?/, "");
    const joined = equals < 0 ? undefined : arg.slice(equals + 1);
    if (name === "help" || name === "h") return { print: "help" };
    if (written === "--man") return { print: "manual", page: pageNamed(joined ?? argv[i + 1]) };
    const option = own.get(name);
    const other = option ? undefined : inherited.get(written);
    const found = option ?? other;
    if (!found) throw unknown(written, [...own.keys()]);
    const value = valueFor(found, written, joined, argv[i + 1]);
    if (found.value !== undefined && joined === undefined) i++;
    if (option) apply(option, settings, value);
    const print = other?.set(settings.options, value, env);
    if (print) return print;
  }
  return undefined;
}

function pageNamed(word: string | undefined): typeof PAGES[number] {
  return oneWord("--man", word || "s_server", PAGES);
}

function valueFor(
  { value }: Pick<SServerOption, "value">,
  written: string,
  joined: string | undefined,
  next: string | undefined,
): string {
  if (value === undefined) {
    if (joined !== undefined) throw new UsageError(`option ${written} takes no value`);
    return "";
  }
  const text = joined ?? next;
  if (text === undefined) throw new UsageError(`option ${written} needs a value`);
  return text;
}

function apply(option: SServerOption, settings: ServerSettings, value: string): void {
  if ("set" in option) return void option.set(settings, value);
  if ("refused" in option) {
    throw new UsageError(`unable to honour ${option.name}: ${option.refused}`);
  }
}

function unknown(written: string, names: readonly string[]): UsageError {
  const word = written.replace(/^-+/, "");
  const meant = names.find((name) => isOneEdit(word, name));
  return new UsageError(`unknown option ${written}`, meant && `did you mean -${meant}?`);
}
