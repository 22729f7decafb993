/** The adapter of the runtime this runs on. */

import process from "node:process";
import { EXIT, FatalError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** Loads only what this runtime needs; for its own bundle compile.sh tells Bun that there is no `Deno`.
 *  Throws `FatalError` on any other. */
export async function currentRuntime(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("./bun/adapter.ts")).bunRuntime();
  if (typeof Deno !== "undefined") return (await import("./deno/adapter.ts")).denoRuntime();
  throw new FatalError(
    `unable to run on Node ${process.version}: sslserver runs on Bun and Deno`,
    EXIT.system,
    "start this program with bun or with deno",
  );
}
