/** The files of a configuration: certificates, keys, authorities, rules, resolv.conf. They are read
 *  only through `Files`, so that a jailed worker can get descriptors in place of paths
 *  (privsep/handed_files.ts). */

import fs from "node:fs";
import { concat } from "../codec/bytes.ts";
import { reason } from "../errors.ts";
import { fsPath, openRegular } from "./regular_file.ts";
import { PathRules, type RulesSource } from "./rules_file.ts";

export interface Files {
  /** A text that changes when the file (or the target of a link) is changed or replaced. Undefined:
   *  there is no such file. Throws if the file cannot be examined. Costs one `stat`. */
  stamp(path: string): string | undefined;
  /** The content of a regular file. Throws the system's error, and if the file has more than `max`
   *  bytes or is not regular. */
  read(path: string, max: number): Uint8Array;
  /** The names in a folder, sorted. Throws the system's error. */
  list(folder: string): string[];
  /** A rules file, which may be too large to be read as a whole. */
  rules(path: string): RulesSource;
}

/** Files by their paths. Synchronous: files are small, local, and checked once a second. */
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

/** The files that a value names. If the whole value is the path of a file, it is that file, even
 *  with colons (`/etc/ssl/::1.pem`). Otherwise colons separate paths as in $PATH, for
 *  certificates of several key types. */
export function namedFiles(value: string, files: Pick<Files, "stamp">): string[] {
  return value.includes(":") && exists(value, files)
    ? [value]
    : value.split(":").filter((path) => path !== "");
}

/** Also false if the path cannot be examined: a list can be longer than a path may be. */
function exists(path: string, files: Pick<Files, "stamp">): boolean {
  try {
    return files.stamp(path) !== undefined;
  } catch {
    return false;
  }
}

/** True if the process lacked a resource (descriptors, memory). The file itself may be good. */
export function isShortage(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return SHORTAGES.includes(code) || (cause instanceof Error && isShortage(cause));
}

const SHORTAGES: readonly unknown[] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN"];

/** One line per file or folder, which changes when the file does. Reads no content. */
export function signature(files: Pick<Files, "stamp">, paths: readonly string[]): string {
  return paths.map((path) => {
    try {
      return files.stamp(path) ?? "absent";
    } catch (error) {
      return `${(error as { code?: string }).code ?? ""} ${reason(error)}`;
    }
  }).join("\n");
}

const HASHED = /^[0-9a-f]{8}\.r?\d{1,4}$/;

const PLAIN = /\.(?:pem|crt|cer|crl)$/i;

/** Selects the names of certificates in a folder; see `TrustFiles.caDir`. */
export function certificateNames(names: readonly string[]): string[] {
  const hashed = names.filter((name) => HASHED.test(name));
  return hashed.length > 0 ? hashed : names.filter((name) => PLAIN.test(name));
}
