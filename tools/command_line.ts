/** The command lines of tasks and tools: options with a value, and --help. @std/cli parses them. The
 *  program itself has POSIX options (src/config/parse.ts) and does not use this file. */

import { parseArgs } from "@std/cli";
import process from "node:process";

export interface Option {
  /** What --help calls the value. */
  value: string;
  help: string;
  /** The value of an option that is not given. A number makes it an option for whole numbers. */
  fallback?: number | string;
  /** The only values that it takes. */
  choices?: readonly string[];
}

export type Options = Readonly<Record<string, Option>>;

export type Values<T extends Options> = {
  [Name in keyof T]: T[Name] extends { fallback: number } ? number
    : T[Name] extends { fallback: string } ? string
    : string | undefined;
};

/** The values of the options in `args`, or in words why they cannot be used. */
export function parseCommandLine<T extends Options>(
  args: readonly string[],
  options: T,
): Values<T> | string {
  const names = Object.keys(options);
  const foreign: string[] = [];
  const parsed = parseArgs(args, {
    string: names,
    collect: names,
    unknown: (argument) => void foreign.push(argument),
  });
  foreign.push(...(parsed["_"] as unknown[]).map(String)); // those behind "--"
  if (foreign.length > 0) return `unknown argument: ${foreign[0]}`;
  const values: Record<string, number | string | undefined> = {};
  for (const [name, { value, fallback, choices }] of Object.entries(options)) {
    const given = parsed[name] as string[];
    const text = given.at(-1);
    if (given.length > 1) return `--${name} is given twice`;
    if (text === "") return `--${name} needs a value: ${value}`;
    if (typeof fallback === "number" && text !== undefined && !/^\d{1,9}$/.test(text)) {
      return `--${name} needs a whole number, not '${text}'`;
    }
    if (text !== undefined && choices?.includes(text) === false) {
      return `--${name} takes ${choices.join(" or ")}, not '${text}'`;
    }
    values[name] = text === undefined ? fallback : typeof fallback === "number" ? +text : text;
  }
  return values as Values<T>;
}

/** The text of --help. */
export function helpText(usage: string, options: Options): string {
  const rows = Object.entries(options).map(([name, { value, help, fallback }]) => [
    `--${name} ${value}`,
    fallback === undefined ? help : `${help} (${fallback})`,
  ]);
  const width = Math.max(...[...rows, ["--help"]].map(([left = ""]) => left.length));
  return [
    `usage: ${usage}`,
    "",
    ...rows.map(([left = "", right]) => `  ${left.padEnd(width)}  ${right}`),
    `  ${"--help".padEnd(width)}  print this text`,
    "",
  ].join("\n");
}

/** The values of the options that this process is started with. Ends it for --help with 0, and with 100 if
 *  an argument cannot be used. */
export function commandLine<const T extends Options>(usage: string, options: T): Values<T> {
  const args = process.argv.slice(2);
  if (args.includes("--help")) {
    process.stdout.write(helpText(usage, options));
    process.exit(0);
  }
  const values = parseCommandLine(args, options);
  if (typeof values !== "string") return values;
  process.stderr.write(`${values}\n${helpText(usage, options)}`);
  process.exit(100);
}
