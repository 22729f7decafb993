/** What the monitor tells a worker at its start. */

import type { Options } from "../config/options.ts";
import type { KeyPair } from "../runtime/runtime.ts";
import type { Identity } from "./identity.ts";

/** In JSON, from the monitor. */
export interface Init {
  /** The monitor's: its worker is of the same. */
  readonly version: string;
  /** The command line, which is parsed again. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly identity: Identity;
  /** How many workers there are, and which of them this is, from 0. */
  readonly workers: number;
  readonly slot: number;
  /** This one speaks for all where one line is enough. */
  readonly speaks: boolean;
  /** It takes the place of one that has ended: what was said at start has been said. */
  readonly again: boolean;
  /** The host is a name, which the worker is to look up. */
  readonly resolve: boolean;
  /** A supervisor has the listening socket too, and keeps it. */
  readonly inherited: boolean;
  /** Of encrypted keys (-3). */
  readonly password?: string;
  /** --self-signed. */
  readonly keyPair?: KeyPair;
}

/** What a worker opens later: only rules can name such files. */
export function filesOf(
  { rules, earlyRules }: Pick<Options, "rules" | "earlyRules">,
): "none" | "read" {
  return rules === undefined && earlyRules === undefined ? "none" : "read";
}
