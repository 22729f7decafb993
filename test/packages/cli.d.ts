/** Types of the part of `@std/cli` that tools use. npm's `deno-std` has the code without types. */

export interface ParseOptions {
  /** Options that take a value; it is "" for one that is given without. */
  string?: readonly string[];
  boolean?: readonly string[];
  /** Options whose values are gathered in an array, in their order. */
  collect?: readonly string[];
  /** Called for each operand and each option that is in none of the lists, the latter with its `key`. What
   *  it returns false for is left out of the result. */
  unknown?: (argument: string, key?: string, value?: unknown) => unknown;
}

/** Options by name, and in `_` the operands. */
export function parseArgs(args: readonly string[], options?: ParseOptions): Record<string, unknown>;
