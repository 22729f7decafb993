/** The C library through the loader of the runtime that runs this file. */

import process from "node:process";
import type { Libc } from "../../../src/runtime/libc/libc.ts";

/** Throws if the loader cannot load it, because every test in this folder needs it. */
export async function libcHere(): Promise<Libc> {
  const { loadLibc } = process.versions["bun"] === undefined
    ? await import("../../../src/runtime/deno/load_libc.ts")
    : await import("../../../src/runtime/bun/load_libc.ts");
  const libc = loadLibc();
  if (!libc) throw new Error("unable to load the C library: no permission for FFI (run with -A)");
  return libc;
}

/** Arguments that make this runtime's executable run a file. */
export function runFile(path: string): string[] {
  return process.versions["bun"] === undefined ? ["run", "-A", path] : ["--no-install", path];
}

/** True if the system can refuse descriptors (SO_PASSRIGHTS). */
export function refuses(libc: Libc): boolean {
  const pair = libc.socketpair("stream");
  const result = libc.refuseDescriptors(pair[0]);
  for (const fd of pair) libc.close(fd);
  return result;
}
