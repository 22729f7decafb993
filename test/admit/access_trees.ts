/** Folders of s6's access rules for tests, and the same rules as a cdb file made by s6. */

import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

/** A rule: `deny`, or what stands beside `allow`. */
export type AccessTreeRule = "deny" | {
  /** Contents of the files in `env`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly exec?: string;
};

/** Rules by their paths (`ip4/10.0.0.0_8`). */
export type AccessTree = Readonly<Record<string, AccessTreeRule>>;

/** Writes the rules into `folder`, beside those that are there. */
export function writeTree(folder: string, tree: AccessTree): void {
  mkdirSync(folder, { recursive: true });
  for (const [path, rule] of Object.entries(tree)) {
    const at = join(folder, path);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, rule === "deny" ? "deny" : "allow"), "");
    if (rule === "deny") continue;
    if (rule.exec !== undefined) writeFileSync(join(at, "exec"), rule.exec);
    if (!rule.env) continue;
    mkdirSync(join(at, "env"));
    for (const [name, value] of Object.entries(rule.env)) {
      writeFileSync(join(at, "env", name), value);
    }
  }
}

/** Makes a cdb file of a folder with s6's own program. */
export function compileTree(folder: string, cdb: string): void {
  execFileSync("s6-accessrules-cdb-from-fs", [cdb, folder]);
}

/** Runs `run` with a new folder. */
export function withPlace<T>(run: (place: string) => T): T {
  const place = mkdtempSync(join(tmpdir(), "access-"));
  try {
    return run(place);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
