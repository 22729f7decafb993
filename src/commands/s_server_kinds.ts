/** The rows of the table of `s_server` (s_server_table.ts): what an option is, and functions that make its rows. */

import type { ServerSettings } from "./s_server_settings.ts";

/** What becomes of an option. `already`: why it needs no effect. `refused`: why it cannot be
 *  honoured. */
export type OptionFate =
  | { readonly set: (settings: ServerSettings, value: string) => unknown }
  | { readonly already: string }
  | { readonly refused: string };

/** An option with one dash; two mean the same. */
export type SServerOption = {
  readonly name: string;
  /** Name of the value. Absent: the option is a flag. */
  readonly value?: string;
  readonly help: string;
} & OptionFate;

export interface SServerGroup {
  readonly title: string;
  readonly options: readonly SServerOption[];
}

type Setter = (settings: ServerSettings, value: string) => unknown;

/** `names`: an option, then others that mean the same. `-port n`: with a value. */
export function row(names: string, help: string, set: Setter): SServerOption[] {
  return named(names, help, { set });
}

/** `why`: the option says what is true anyway. */
export const already = (names: string, why: string): SServerOption[] =>
  named(names, "accepted without effect", { already: why });
/** `why`: what cannot be honoured. */
export const refused = (names: string, why: string): SServerOption[] =>
  named(names, "refused", { refused: why });

function named(names: string, help: string, fate: OptionFate): SServerOption[] {
  return names.split(" | ").map((one, i, all) => {
    const [name = "", value] = one.split(" ");
    const [first = ""] = all[0]?.split(" ") ?? [];
    const text = i === 0 || "already" in fate || "refused" in fate ? help : `the same as ${first}`;
    return { name, ...(value === undefined ? {} : { value }), help: text, ...fate };
  });
}
