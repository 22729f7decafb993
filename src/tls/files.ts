/** Files behind TLS settings: whether they have changed, and why one cannot be read. */

import fs from "node:fs";
import { reason } from "../errors.ts";

/** A line per file or folder that changes when it does: also when a symbolic link is moved. One
 *  `stat` each, nothing is read. */
export function signature(paths: readonly string[]): string {
  return paths.map((path) => {
    try {
      const { dev, ino, size, mtimeMs, ctimeMs } = fs.statSync(path);
      return [dev, ino, size, mtimeMs, ctimeMs].join(" ");
    } catch (error) {
      return (error as { code?: string }).code ?? "error";
    }
  }).join("\n");
}

/** `ENOENT: no such file or directory, open '…'` → `no such file or directory`: the path is in
 *  the message already. */
export function systemReason(error: unknown): string {
  const text = reason(error);
  return /^E[A-Z0-9]+: ([^,]+)/.exec(text)?.[1] ?? text.replace(/ \(os error \d+\).*$/, "");
}
