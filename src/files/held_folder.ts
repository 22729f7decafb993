/** A folder that is held open while files in it are read. With libc, each name is opened relative
 *  to the descriptor of its folder, so that a rename meanwhile cannot lead elsewhere. Without libc
 *  (Deno without FFI), each step is checked by its path. Links below the opened folder are refused,
 *  because they could lead out of it. */

import fs from "node:fs";
import { concat } from "../codec/bytes.ts";
import type { Libc } from "../runtime/libc/libc.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { fsPath, openRegular } from "./regular_file.ts";

/** The calls of libc that are needed. */
export type FolderCalls = Pick<Libc, "open" | "openIn" | "fewNames" | "close" | "readAt">;

/** What a process may do with a file. */
export type FileState = "readable" | "unreadable" | "absent";

/** A folder. Names must not have a slash. All methods throw an Error whose message begins with the
 *  path if the system refuses a call, or if the name is a link. */
export interface HeldFolder {
  readonly path: string;
  /** Opens a folder in this one; undefined: there is none. The caller closes it. */
  folder(name: string): HeldFolder | undefined;
  /** Whether a file may be read. Does not read it. */
  state(name: string): FileState;
  /** Up to `max` bytes of a file; undefined: there is none. */
  read(name: string, max: number): Uint8Array | undefined;
  /** All names in this folder, if they are few and the system can list them at low cost. A caller
   *  then need not try other names. Undefined otherwise. May be called only once. */
  few(): ReadonlySet<string> | undefined;
  /** The names in this folder, sorted. */
  names(): string[];
  close(): void;
}

/** Opens a folder; `path` may be a link to it. Throws as the methods do. */
export function holdFolder(path: string, libc: FolderCalls | undefined): HeldFolder {
  return attempt(path, () => {
    if (libc) return new OpenFolder(path, libc, libc.open(path));
    if (!fs.statSync(fsPath(path)).isDirectory()) throw new Error("not a directory");
    return new PathFolder(path);
  });
}

class OpenFolder implements HeldFolder {
  constructor(readonly path: string, readonly libc: FolderCalls, readonly fd: number) {}

  folder(name: string): HeldFolder | undefined {
    const path = pathIn(this.path, name);
    let fd: number | undefined;
    try {
      fd = this.libc.openIn(this.fd, name, true);
    } catch (cause) {
      throw failure(path, cause);
    }
    return fd === undefined ? undefined : new OpenFolder(path, this.libc, fd);
  }

  state(name: string): FileState {
    return attempt(pathIn(this.path, name), () => {
      try {
        const fd = this.libc.openIn(this.fd, name);
        if (fd === undefined) return "absent";
        this.libc.close(fd);
        return "readable";
      } catch (error) {
        if (codeOf(error) === "EACCES") return "unreadable";
        throw error;
      }
    });
  }

  read(name: string, max: number): Uint8Array | undefined {
    return attempt(pathIn(this.path, name), () => {
      const fd = this.libc.openIn(this.fd, name);
      if (fd === undefined) return undefined;
      try {
        // pread(2) fails for a pipe or a terminal. read(2) could report it as an empty file.
        return readUpTo(max, (length, at) => this.libc.readAt(fd, length, at));
      } finally {
        this.libc.close(fd);
      }
    });
  }

  few(): ReadonlySet<string> | undefined {
    return attempt(this.path, () => this.libc.fewNames(this.fd));
  }

  names(): string[] {
    return namesIn(this.path);
  }

  close(): void {
    this.libc.close(this.fd);
  }
}

class PathFolder implements HeldFolder {
  constructor(readonly path: string) {}

  folder(name: string): HeldFolder | undefined {
    const path = pathIn(this.path, name);
    return attempt(path, () => {
      const stat = unlinked(path);
      if (stat && !stat.isDirectory()) throw new Error("not a directory");
      return stat && new PathFolder(path);
    });
  }

  state(name: string): FileState {
    const path = pathIn(this.path, name);
    return attempt(path, () => {
      if (!unlinked(path)) return "absent";
      try {
        fs.accessSync(fsPath(path), fs.constants.R_OK);
        return "readable";
      } catch (error) {
        if (codeOf(error) === "EACCES") return "unreadable";
        throw error;
      }
    });
  }

  read(name: string, max: number): Uint8Array | undefined {
    const path = pathIn(this.path, name);
    return attempt(path, () => {
      if (!unlinked(path)) return undefined;
      const fd = openRegular(path);
      try {
        return readUpTo(max, (length, at) => {
          const bytes = new Uint8Array(length);
          return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, at));
        });
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  few(): undefined {}

  names(): string[] {
    return namesIn(this.path);
  }

  close(): void {}
}

/** `read` returns up to `length` bytes at an offset; none at the end. */
function readUpTo(max: number, read: (length: number, at: number) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let got = 0; got < max;) {
    const part = read(max - got, got);
    if (part.length === 0) break;
    got += part.length;
    parts.push(part);
  }
  return concat(parts);
}

/** Names that are added or removed meanwhile do no harm, because each file is opened by its
 *  name. */
function namesIn(path: string): string[] {
  return attempt(path, () => fs.readdirSync(fsPath(path)).sort());
}

/** The state of a file or folder; undefined: there is none. Throws for a link. */
function unlinked(path: string): fs.Stats | undefined {
  const stat = unlessAbsent(() => fs.lstatSync(fsPath(path)));
  if (stat?.isSymbolicLink()) throw new Error("a link");
  return stat;
}

function unlessAbsent<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const LEADS_OUT = /[/\0]/;

function pathIn(folder: string, name: string): string {
  if (name === "" || name === "." || name === ".." || LEADS_OUT.test(name)) {
    throw new Error(`${folder}: a name that leads out of it`);
  }
  return `${folder}/${name}`;
}

function attempt<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw failure(path, cause);
  }
}

function failure(path: string, cause: unknown): Error {
  const code = codeOf(cause);
  const why = code === "ELOOP" ? "a link" : systemReason(cause);
  return Object.assign(new Error(`${path}: ${why}`, { cause }), code ? { code } : {});
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}
