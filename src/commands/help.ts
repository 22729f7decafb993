/** The text of --help, from a command's table of options: at most 80 columns wide. */

import type { OptionGroup } from "../config/getopt.ts";

const WIDTH = 17;

/** The parts of the text. All except `usage` and `groups` are lines that end with a newline. */
export interface HelpPage<T> {
  readonly usage: string;
  /** What the command does, and its operands. */
  readonly about: string;
  readonly groups: readonly OptionGroup<T>[];
  /** What else the command reads. */
  readonly closing: string;
}

/** Returns the text, which ends with a newline. */
export function helpText<T>({ usage, about, groups, closing }: HelpPage<T>): string {
  const tables = groups.map(({ title, options }) => {
    const lines = options.map(({ name, value, help, joined }) => {
      const left = value === undefined ? name : `${name}${joined ? "=" : " "}${value}`;
      return left.length > WIDTH
        ? `  ${left}\n  ${" ".repeat(WIDTH)}  ${help}`
        : `  ${left.padEnd(WIDTH)}  ${help}`;
    });
    return `${title}:\n${lines.join("\n")}\n`;
  });
  return `usage: ${usage}\n\n${about}\n${tables.join("\n")}\n${closing}`;
}
