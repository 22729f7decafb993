/** The error for features that need libc under Deno without `--allow-ffi`. */

import { Unsupported } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** Makes the error. `what`: as in `unable to <what>`. */
export function needsFfi(what: string, runtime: Runtime["name"]): Unsupported {
  return new Unsupported(what, `${runtime} without FFI`, "allow FFI: deno run --allow-ffi");
}

/** Returns the C library of `runtime`. Throws `Unsupported` if it has none. */
export function requireLibc(
  { libc, name }: Pick<Runtime, "libc" | "name">,
  what: string,
): NonNullable<Runtime["libc"]> {
  if (!libc) throw needsFfi(what, name);
  return libc;
}
