/** Which files a worker may open while it serves, and how it must be started for that. */

import { hasRules, type Options, type RuleOptions } from "../config/options.ts";
import type { Libc } from "../runtime/libc/libc.ts";

/** `read`: it may open files for reading, because its rules can name certificates (CERTFILE=…), or it
 *  serves them with --files. `none`: it may open no file. */
export type FileAccess = "none" | "read";

export function fileAccess(options: RuleOptions & Pick<Options, "handler">): FileAccess {
  return hasRules(options) || options.handler?.kind === "files" ? "read" : "none";
}

/** True if a worker must be started by way of confine.ts, which applies Landlock before the process
 *  has threads. Before Linux 7.0, Landlock cannot restrict threads that exist already. That matters
 *  if the filter allows the worker to open files: then only Landlock keeps it from the files in
 *  /proc that show other processes of its user. The way by confine.ts costs a second start of the
 *  runtime. Without rules the filter refuses to open any file, so it is not needed. */
export function confinedByExec(libc: Libc, files: FileAccess): boolean {
  if (files === "none") return false;
  const version = libc.landlockVersion();
  return version > 0 && version < LANDLOCK_OF_ALL_THREADS;
}

const LANDLOCK_OF_ALL_THREADS = 8;
