/** Settings that no runtime supports are refused, not ignored: the TLS libraries of Bun and Deno let nobody
 *  choose groups or ticket keys. */

import { UNSUPPORTED_VARIABLES } from "../config/variables.ts";
import { UsageError } from "../errors.ts";
import { PRODUCT } from "../version.ts";
import type { VariableLookup } from "./settings.ts";

/** Throws `UsageError`. */
export function refuseUnsupported(lookup: VariableLookup): void {
  for (const name of UNSUPPORTED_VARIABLES) {
    if (lookup(name)) {
      throw new UsageError(`$${name} is not supported by ${PRODUCT}`, `unset ${name}`);
    }
  }
}
