/** The files of a configuration: certificates, keys, authorities, rules, resolv.conf. Whoever reads
 *  one does it through `Files`, so that a jailed worker can be handed descriptors in place of paths
 *  (privsep/handed_files.ts). */

import fs from "node:fs";
import { concat } from "../codec/bytes.ts";
import { reason } from "../errors.ts";
import { fsPath, openRegular } from "./regular_file.ts";
import { PathRules, type RulesSource } from "./rules_file.ts";

export interface Files {
  /** A text that differs once the file, or what a link points to, has changed or been replaced.
   *  Undefined: there is none. Throws for one that cannot be looked at. One `stat`. */
  stamp(path: string): string | undefined;
  /** All of a regular file. Throws the system's error, or when it has more than `max` bytes or is not
   *  a regular file. */
  read(path: string, max: number): Uint8Array;
  /** The names in a folder, sorted. Throws. */
  list(folder: string): string[];
  /** A rules file, which may be too large to be read as a whole. */
  rules(path: string): RulesSource;
}

/** Files by their paths. Synchronous: they are small, local, and looked at once a second. */
export const localFiles: Files = {
  stamp(path) {
    try {
      const { dev, ino, size, mtimeMs, ctimeMs } = fs.statSync(fsPath(path));
      return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
    } catch (error) {
      if ((error as { code?: unknown }).code === "ENOENT") return undefined;
      throw error;
    }
  },
  read(path, max) {
    const fd = openRegular(path);
    try {
      const chunks: Uint8Array[] = [];
      for (let size = 0;;) {
        const chunk = new Uint8Array(65_536);
        const count = fs.readSync(fd, chunk, 0, chunk.length, null);
        if (count === 0) return chunks.length === 1 ? chunks[0] as Uint8Array : concat(chunks);
        chunks.push(chunk.subarray(0, count));
        if ((size += count) > max) throw new Error(`larger than ${max} bytes`);
      }
    } finally {
      fs.closeSync(fd);
    }
  },
  list: (folder) => fs.readdirSync(fsPath(folder)).sort(),
  rules: (path) => new PathRules(path),
};

/** The files that a value names: if there is a file of that name, colons and all, it is meant
 *  (`/etc/ssl/::1.pem`); else several as in $PATH, for certificates of several key types. */
export function namedFiles(value: string, files: Pick<Files, "stamp">): string[] {
  return value.includes(":") && exists(value, files)
    ? [value]
    : value.split(":").filter((path) => path !== "");
}

/** False, too, for what cannot be looked at: a list can be longer than a path may be. */
function exists(path: string, files: Pick<Files, "stamp">): boolean {
  try {
    return files.stamp(path) !== undefined;
  } catch {
    return false;
  }
}

/** True when the opener of a file lacked something, which says nothing about the file. */
export function isShortage(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return SHORTAGES.includes(code) || (cause instanceof Error && isShortage(cause));
}

const SHORTAGES: readonly unknown[] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN"];

/** A line per file or folder that changes when it does. Nothing is read. */
export function signature(files: Pick<Files, "stamp">, paths: readonly string[]): string {
  return paths.map((path) => {
    try {
      return files.stamp(path) ?? "absent";
    } catch (error) {
      return `${(error as { code?: string }).code ?? ""} ${reason(error)}`;
    }
  }).join("\n");
}

/** `ENOENT: no such file or directory, open '…'`, and libc's `open: no such file or directory (ENOENT)`
 *  → `no such file or directory`: the path is in the message already. */
export function systemReason(error: unknown): string {
  const text = reason(error);
  return /^E[A-Z0-9]+: ([^,]+)/.exec(text)?.[1] ??
    /^\w+: (.*) \(E[A-Z0-9]+\)$/.exec(text)?.[1] ?? text.replace(/ \(os error \d+\).*$/, "");
}

const HASHED = /^[0-9a-f]{8}\.r?\d{1,4}$/;

const PLAIN = /\.(?:pem|crt|cer|crl)$/i;

/** The names of a folder that count; see `TrustFiles.caDir`. */
export function certificateNames(names: readonly string[]): string[] {
  const hashed = names.filter((name) => HASHED.test(name));
  return hashed.length > 0 ? hashed : names.filter((name) => PLAIN.test(name));
}
