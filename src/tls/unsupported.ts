/** Refuses settings that no runtime supports, instead of ignoring them: with the TLS libraries of
 *  Bun and Deno, ticket keys cannot be chosen. */

import { UNSUPPORTED_VARIABLES } from "../config/variables.ts";
import { UsageError } from "../errors.ts";
import { PRODUCT } from "../version.ts";
import type { VariableLookup } from "./settings.ts";

/** Throws `UsageError` if such a setting is set. */
export function refuseUnsupported(lookup: VariableLookup): void {
  for (const name of UNSUPPORTED_VARIABLES) {
    if (lookup(name)) {
      throw new UsageError(`$${name} is not supported by ${PRODUCT}`, `unset ${name}`);
    }
  }
}
