/** Files that the monitor hands over to a worker as descriptors, and the worker's side, which reads
 *  them. A path that was not handed over (one from a rule) is opened by the worker itself, with its
 *  own rights and in its chroot. */

import { concat } from "../codec/bytes.ts";
import { reason } from "../errors.ts";
import { type Files, localFiles } from "../files/files.ts";
import { HandedRules, type RulesFile, type RulesSource } from "../files/rules_file.ts";
import type { Libc } from "../runtime/libc/libc.ts";

/** A file to hand over. A `folder` is one of certificates; the files in it are handed over too. */
export interface Wanted {
  readonly path: string;
  /** `files`: one path, or several with colons between them; see `namedFiles`. */
  readonly kind: "file" | "files" | "rules" | "folder";
}

/** The present state of one file. Its descriptor, if there is one, is sent with the message. */
export interface HandedFile {
  readonly path: string;
  /** `absent`: it does not exist; `error`: it cannot be opened. */
  readonly is: "file" | "rules" | "folder" | "absent" | "error";
  readonly stamp: string;
  /** Bytes of a rules file. */
  readonly size?: number;
  /** Names in a folder. */
  readonly names?: readonly string[];
  readonly error?: { readonly code: string; readonly message: string };
}

/** A file in a message. `open`: its descriptor comes with the message. */
export type SentFile = HandedFile & { readonly open: boolean };

/** A file opened for one hand-over. The receiver closes `fd`. */
export interface Opened {
  readonly file: HandedFile;
  readonly fd: number | undefined;
}

/** Largest file that a worker keeps in memory, in bytes: revocation lists have megabytes. */
const MAX_FILE = 16 << 20;

type Held = HandedFile & { readonly bytes?: Uint8Array };

/** The worker's side. */
export class HandedFiles implements Files {
  readonly #held = new Map<string, Held>();
  readonly #rules = new Map<string, HandedRules>();

  constructor(readonly libc: Libc) {}

  /** Accepts the present state of a file. Closes `fd` now, or for rules when the file is
   *  replaced. */
  take(file: HandedFile, fd: number | undefined): void {
    const { path } = file;
    if (file.is === "rules" && fd !== undefined) {
      this.#rulesOf(path).hand(this.#rulesFile(file, fd));
      this.#held.set(path, file);
      return;
    }
    this.#held.set(path, fd === undefined ? file : this.#readIn(file, fd));
    if (this.#rules.has(path)) this.#handNone(path);
  }

  /** Accepts the state in which a file was last good. */
  keep(file: HandedFile, bytes: Uint8Array | undefined): void {
    this.#held.set(file.path, bytes ? { ...file, bytes } : file);
  }

  /** Closes the rules files. */
  close(): void {
    for (const rules of this.#rules.values()) {
      rules.hand(undefined);
      rules.open();
    }
  }

  stamp(path: string): string | undefined {
    const held = this.#held.get(path);
    if (!held) return localFiles.stamp(path);
    if (held.is === "absent") return undefined;
    if (held.error) throw failure(held.error);
    return held.stamp;
  }

  read(path: string, max: number): Uint8Array {
    const held = this.#held.get(path);
    if (!held) return localFiles.read(path, max);
    if (held.is === "absent") {
      throw failure({ code: "ENOENT", message: "no such file or directory" });
    }
    if (held.error) throw failure(held.error);
    if (!held.bytes) throw new Error("not a regular file");
    if (held.bytes.length > max) throw new Error(`larger than ${max} bytes`);
    return held.bytes;
  }

  list(folder: string): string[] {
    const held = this.#held.get(folder);
    if (!held) return localFiles.list(folder);
    if (held.is === "absent") {
      throw failure({ code: "ENOENT", message: "no such file or directory" });
    }
    if (held.error) throw failure(held.error);
    return [...held.names ?? []];
  }

  rules(path: string): RulesSource {
    return this.#held.has(path) || this.#rules.has(path)
      ? this.#rulesOf(path)
      : localFiles.rules(path);
  }

  #rulesOf(path: string): HandedRules {
    const known = this.#rules.get(path);
    if (known) return known;
    const rules = new HandedRules(path);
    this.#rules.set(path, rules);
    this.#handNone(path);
    return rules;
  }

  /** Passes on why rules cannot be opened. Such rules must not count as missing: with -X, missing
   *  rules allow all clients. */
  #handNone(path: string): void {
    const error = this.#held.get(path)?.error;
    this.#rules.get(path)?.hand(error && new Error(error.message));
  }

  #rulesFile({ stamp, size = 0 }: HandedFile, fd: number): RulesFile {
    return {
      stamp,
      size,
      readAt: (offset, length) => readUpTo(this.libc, fd, length, offset),
      close: () => this.libc.close(fd),
    };
  }

  #readIn(file: HandedFile, fd: number): Held {
    try {
      const bytes = readUpTo(this.libc, fd, MAX_FILE + 1);
      if (bytes.length <= MAX_FILE) return { ...file, bytes };
      throw new Error(`larger than ${MAX_FILE} bytes`);
    } catch (error) {
      return { ...file, is: "error", error: { code: "", message: reason(error) } };
    } finally {
      this.libc.close(fd);
    }
  }
}

/** Bytes read in one call. */
const PIECE = 65_536;

/** Reads up to `length` bytes at `offset`; fewer only at the end of the file. Reads by offset,
 *  because copies of the descriptor in other processes share its position in the file. Throws. */
export function readUpTo(
  libc: Pick<Libc, "readAt">,
  fd: number,
  length: number,
  offset = 0,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let got = 0; got < length;) {
    const part = libc.readAt(fd, Math.min(PIECE, length - got), offset + got);
    if (part.length === 0) break;
    got += part.length;
    parts.push(part);
  }
  return concat(parts);
}

function failure({ code, message }: { code: string; message: string }): Error {
  return Object.assign(new Error(message), code ? { code } : {});
}
