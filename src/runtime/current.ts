/** Loads the adapter of the runtime that this process runs on. */

import process from "node:process";
import { EXIT, FatalError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** Imports only the adapter of this runtime; for Bun's bundle compile.sh defines `Deno` away.
 *  Rejects with `FatalError` on any other runtime. */
export async function currentRuntime(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("./bun/adapter.ts")).bunRuntime();
  if (typeof Deno !== "undefined") return (await import("./deno/adapter.ts")).denoRuntime();
  throw new FatalError(
    `unable to run on Node ${process.version}: sslserver runs on Bun and Deno`,
    EXIT.system,
    "start this program with bun or with deno",
  );
}
