/** The lines of /etc/passwd and /etc/group. */

import { latin1 } from "../codec/bytes.ts";
import type { Files } from "./files.ts";

/** Maximum size of a file, in bytes: far more than real files have. */
const MAX_FILE = 16 << 20;

export type AccountFile = "/etc/passwd" | "/etc/group";

/** A user or a group. The ids are texts as in the file, and need not be numbers. */
export interface Account {
  readonly name: string;
  readonly id: string;
  /** The primary group of a user; of a group, its members. */
  readonly group: string;
}

/** Reads all lines, in order. Throws the system's error. */
export function readAccounts(files: Pick<Files, "read">, path: AccountFile): Account[] {
  return latin1(files.read(path, MAX_FILE)).split("\n").map((line) => {
    const [name = "", , id = "", group = ""] = line.split(":");
    return { name, id, group };
  });
}
