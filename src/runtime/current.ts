/** The adapter of the runtime this runs on. */

import type { Runtime } from "./runtime.ts";

/** Loads only what this runtime needs. */
export async function currentRuntime(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("./bun.ts")).bunRuntime();
  return (await import("./deno.ts")).denoRuntime();
}
