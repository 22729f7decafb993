/** The refusal of what needs libc where there is none: under Deno without `--allow-ffi`. */

import { Unsupported } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** The error. `what`: as in `unable to <what>`; `runtime`: its name. */
export function needsFfi(what: string, runtime: Runtime["name"]): Unsupported {
  return new Unsupported(what, `${runtime} without FFI`, "allow FFI: deno run --allow-ffi");
}

/** The C library of `runtime`. Throws `Unsupported` without one. */
export function requireLibc(
  { libc, name }: Pick<Runtime, "libc" | "name">,
  what: string,
): NonNullable<Runtime["libc"]> {
  if (!libc) throw needsFfi(what, name);
  return libc;
}
