/** Restricts what a worker may ask of the kernel, with Landlock and with the filter of
 *  worker_filter.ts. An attacker who takes over the worker, through a fault in the TLS library or
 *  the JavaScript engine, has its memory. But the attacker cannot start a program, look into another
 *  process, change or open a file, or reach rarely used parts of the kernel. */

import process from "node:process";
import { reason } from "../errors.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { type FilterOptions, workerFilter } from "./worker_filter.ts";

export interface SandboxOptions extends FilterOptions {
  /** With `read`: the folders, by path or by descriptor, below which files can be read. Default:
   *  all. */
  readonly readBelow?: readonly (string | number)[];
  /** True if Landlock restricts all threads already: see file_access.ts. */
  readonly confined?: boolean;
}

/** In earlier versions, O_TRUNC can empty a file that Landlock makes read-only. */
const LANDLOCK_OF_TRUNCATION = 3;

/** The restrictions in force, and those that are not, with the cause: lines for the log. */
export interface Sandboxed {
  readonly on: string[];
  readonly off: string[];
}

/** Restricts this process with all its threads, for good. A worker calls this last before it
 *  serves: after it has changed its root folder and its ids, made its first TLS context and opened
 *  its files. Never throws; what the system does not have is in `off`. */
export function sandbox(libc: Libc, options: SandboxOptions): Sandboxed {
  const { files, readBelow = ["/"], confined = false } = options;
  /** True if Landlock keeps every thread from changing files. */
  let guarded = false;
  const { platform, arch } = process;
  if (platform !== "linux" || (arch !== "x64" && arch !== "arm64")) {
    return { on: [], off: [`sandbox: not available for ${platform} on ${arch}`] };
  }
  const result: Sandboxed = { on: [], off: [] };
  const step = (name: string, go: () => string) => {
    try {
      result.on.push(`${name}: ${go()}`);
    } catch (error) {
      result.off.push(`${name}: ${reason(error)}`);
    }
  };
  // Landlock comes before seccomp, whose filter forbids it. It also forbids to execute files, which
  // confine.ts still permits, and to read files unless `files` is "read".
  step("landlock", () => {
    const { abi, threads } = libc.landlock({ readBelow: files === "read" ? readBelow : [] });
    if (threads === "all" || confined) {
      guarded = abi >= LANDLOCK_OF_TRUNCATION;
      return "all threads";
    }
    if (files === "read") throw new Error("only one thread is restricted, before Linux 7.0");
    return "the calling thread; the others open no file by the filter";
  });
  step("seccomp", () => {
    libc.seccomp(workerFilter(arch, options, guarded));
    return "all threads";
  });
  return result;
}
