/** What completions offer for each name that the program answers to: its options and operands. */

import { CLIENT_OPTIONS } from "../config/client_table.ts";
import type { Option } from "../config/getopt.ts";
import { OPTIONS } from "../config/option_table.ts";
import { type Page, PAGES } from "../config/options.ts";
import { moduleOptions } from "../config/parse.ts";
import { EXAMPLES } from "./examples.ts";
import { S6_OPTIONS } from "./s6_tlsserver_options.ts";
import { S_SERVER_OPTIONS } from "./s_server_table.ts";
import { ownOptions } from "./small_client.ts";

/** An option, as far as completions need it. */
export type CompletedOption = Pick<Option<never>, "name" | "value" | "help">;

export interface CompletedName {
  readonly name: Page;
  readonly options: readonly CompletedOption[];
  /** The operands, in their order. Without any, options are all there is, and the names of options
   *  have one dash and several letters. */
  readonly operands: readonly ("host" | "port" | "page")[];
  /** The options after the operands. Absent: a command follows, with its arguments. */
  readonly further?: readonly CompletedOption[];
}

const flat = (
  groups: readonly { readonly options: readonly CompletedOption[] }[],
): CompletedOption[] => groups.flatMap(({ options }) => options);

const CLIENT = flat(CLIENT_OPTIONS);

const small = (name: Page, operands: CompletedName["operands"]): CompletedName => ({
  name,
  options: flat(ownOptions(name)),
  operands,
  further: CLIENT,
});

export const COMPLETED: readonly CompletedName[] = [
  { name: "sslserver", options: flat(OPTIONS), operands: ["host", "port"] },
  { name: "s6-tlsserver", options: flat(S6_OPTIONS), operands: ["host", "port"] },
  { name: "sslhandle", options: flat(moduleOptions()), operands: ["host", "port"] },
  {
    name: "s_server",
    options: flat(S_SERVER_OPTIONS.map(({ options }) => ({
      options: options.filter((option) => "set" in option),
    }))),
    operands: [],
  },
  { name: "sslclient", options: CLIENT, operands: ["host", "port"] },
  small("sslcat", ["host", "port"]),
  small("sslconnect", ["host", "port"]),
  small("https@", ["host", "page", "port"]),
];

/** Names of values that are paths. */
const FILES = ["rules", "file", "folder"];

/** The possible values of an option: these words, a file, or free text; undefined: it has no
 *  value. */
export function valueOf(
  { name, value }: CompletedOption,
): readonly string[] | "file" | "text" | undefined {
  if (value === undefined) return undefined;
  if (name === "--man") return PAGES;
  if (name === "--example") return Object.keys(EXAMPLES);
  if (value.includes("|")) return value.split("|").filter((word) => word.length > 1); // no n
  return FILES.includes(value) || name === "--metrics" ? "file" : "text";
}
