/** The files that the monitor opens for its workers: those whose paths options and environment
 *  name, and no others. It opens them at start, and again when they change. */

import fs from "node:fs";
import { type Env, holds } from "../../config/variables.ts";
import type { Options } from "../../config/options.ts";
import { certificateNames, localFiles, namedFiles } from "../../files/files.ts";
import { systemReason } from "../../runtime/system_reason.ts";
import { fsPath, requireRegular } from "../../files/regular_file.ts";
import type { Libc } from "../../runtime/libc/libc.ts";
import type { Opened, Wanted } from "../handed_files.ts";

/** See dns/hosts.ts. */
const HOSTS_FILE = "/etc/hosts";
/** Where the resolver's settings are; see dns/config.ts. */
const DNS_FILES = ["/etc/resolv.conf", "/etc/dnsrewrite", "/etc/dnswritefile"];

/** The files that options and environment name. */
export function wantedFiles(options: Options, env: Env): Wanted[] {
  const wanted = new Map<string, Wanted>();
  const want = (kind: Wanted["kind"], path: string | undefined): void => {
    if (path && wanted.get(path)?.kind !== "files") wanted.set(path, { path, kind });
  };
  for (const path of DNS_FILES) want("file", path);
  if (options.hosts) want("file", HOSTS_FILE);
  for (const [name, value] of Object.entries(env)) {
    const kind = value && holds(name, value);
    if (kind) want(kind === "files" && !value.includes(":") ? "file" : kind, value);
  }
  want("rules", options.rules);
  want("rules", options.earlyRules);
  return [...wanted.values()];
}

/** The paths to open at present. A folder comes before the files in it. */
export function* pathsOf(wanted: readonly Wanted[]): Iterable<Wanted> {
  for (const one of wanted) {
    const { path, kind } = one;
    if (kind === "files") {
      // The list's own text as a path, too: the worker must know that no such file exists.
      for (const each of new Set([path, ...namedFiles(path, localFiles)])) {
        yield { path: each, kind: "file" };
      }
      continue;
    }
    yield one;
    if (kind !== "folder") continue;
    for (const name of namesIn(path)) yield { path: `${path}/${name}`, kind: "file" };
  }
}

/** Opens the files, and notices changes. */
export class FileWatcher {
  readonly #seen = new Map<string, string>();

  constructor(readonly libc: Libc, readonly wanted: readonly Wanted[]) {}

  /** Opens all files, for a worker that has none. */
  *all(): Iterable<Opened> {
    for (const { path, kind } of pathsOf(this.wanted)) {
      this.#seen.set(path, stampOf(path));
      yield this.#open(path, kind);
    }
  }

  /** Opens all files once more, for a worker that has lost some. `changed` still reports changes to
   *  the others. */
  *again(): Iterable<Opened> {
    for (const { path, kind } of pathsOf(this.wanted)) yield this.#open(path, kind);
  }

  /** Opens the files that have changed since the last check. */
  *changed(): Iterable<Opened> {
    for (const { path, kind } of pathsOf(this.wanted)) {
      const stamp = stampOf(path);
      if (this.#seen.get(path) === stamp) continue;
      this.#seen.set(path, stamp);
      yield this.#open(path, kind);
    }
  }

  /** The file could not be handed over: it counts as changed at the next check. */
  forget(path: string): void {
    this.#seen.delete(path);
  }

  isRules(path: string): boolean {
    return this.wanted.some((one) => one.path === path && one.kind === "rules");
  }

  /** Opens the rules files, for the monitor's own copy. */
  *rules(): Iterable<Opened> {
    for (const { path, kind } of this.wanted) {
      if (kind === "rules") yield this.#open(path, kind);
    }
  }

  #open(path: string, kind: Wanted["kind"]): Opened {
    // The stamp is taken before the file is opened: a change in between is noticed at the next
    // check.
    const stamp = stampOf(path);
    let fd: number | undefined;
    try {
      if (kind === "folder") {
        const names = certificateNames(localFiles.list(path));
        return { file: { path, is: "folder", stamp, names }, fd: undefined };
      }
      requireRegular(fs.statSync(fsPath(path)));
      fd = this.libc.open(path);
      const { size } = fs.statSync(fsPath(path));
      return { file: { path, is: kind === "rules" ? kind : "file", stamp, size }, fd };
    } catch (error) {
      if (fd !== undefined) this.libc.close(fd);
      const { code = "" } = error as { code?: string };
      const file = code === "ENOENT"
        ? { path, is: "absent", stamp } as const
        : { path, is: "error", stamp, error: { code, message: systemReason(error) } } as const;
      return { file, fd: undefined };
    }
  }
}

function stampOf(path: string): string {
  try {
    return localFiles.stamp(path) ?? "absent";
  } catch (error) {
    return (error as { code?: string }).code ?? "error";
  }
}

function namesIn(folder: string): string[] {
  try {
    return certificateNames(localFiles.list(folder));
  } catch {
    return [];
  }
}
