/** The folder of --files: opens the regular files below it, and nothing else. With libc on Linux,
 *  the kernel makes sure that no path leads out of the folder, which is opened before the process
 *  gives up its rights. Otherwise every path is resolved and must lie below the path of the
 *  folder. */

import { constants, realpathSync, statSync } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { FatalError } from "../errors.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** A regular file, open for reading. */
export interface OpenedFile {
  /** In bytes. */
  readonly size: number;
  /** When the content was changed, in milliseconds since 1970. */
  readonly modified: number;
  /** Differs between two versions of the file. */
  readonly version: string;
  /** Returns up to `length` bytes at `offset`; none at the end of the file. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  close(): void;
}

/** Why no file is opened. `absent` also stands for devices and for links out of the folder. */
export type NoFile = "absent" | "forbidden" | "folder";

export interface Folder {
  /** Its descriptor, if there is one. */
  readonly descriptor: number | undefined;
  /** Opens the file whose path below the folder consists of `names`, at least one. No name is
   *  empty, `.` or `..`, or has a slash. Rejects if descriptors or memory run out. */
  open(names: readonly string[]): OpenedFile | NoFile | Promise<OpenedFile | NoFile>;
}

/** Opens a folder. Throws `FatalError` if it does not exist or cannot be read. */
export function openFolder(path: string, { libc }: Pick<Runtime, "libc">): Folder {
  try {
    if (!statSync(path).isDirectory()) throw new Error("not a folder");
    return libc?.confines ? descriptorFolder(libc, path) : pathFolder(realpathSync(path));
  } catch (error) {
    throw new FatalError(
      `unable to serve --files ${path}: ${systemReason(error)}`,
      undefined,
      "name a folder that the server can read; deno run needs --allow-read for it",
    );
  }
}

function descriptorFolder(libc: NonNullable<Runtime["libc"]>, path: string): Folder {
  const descriptor = libc.openFolder(path);
  return {
    descriptor,
    open(names) {
      try {
        const file = libc.openBelow(descriptor, names);
        if (file === "other") return "absent";
        if (file === "folder") return file;
        const { fd, ...facts } = file;
        return {
          ...facts,
          read: (offset, length) => libc.readAt(fd, length, offset),
          close: () => libc.close(fd),
        };
      } catch (error) {
        return noFile(error);
      }
    },
  };
}

function pathFolder(root: string): Folder {
  return {
    descriptor: undefined,
    async open(names) {
      try {
        const path = await realpath(join(root, ...names));
        if (!path.startsWith(root === sep ? sep : root + sep)) return "absent";
        const found = await stat(path);
        if (found.isDirectory()) return "folder";
        if (!found.isFile()) return "absent";
        return await opened(path);
      } catch (error) {
        return noFile(error);
      }
    },
  };
}

async function opened(path: string): Promise<OpenedFile | NoFile> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const { size, mtimeMs } = await file.stat();
  return {
    size,
    modified: Math.floor(mtimeMs),
    version: [size, Math.floor(mtimeMs)].map((n) => n.toString(16)).join("-"),
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    },
    close: () => void file.close().catch(() => {}),
  };
}

const ABSENT: ReadonlySet<string> = new Set([
  "ENOENT",
  "ENOTDIR",
  "ENAMETOOLONG",
  "ELOOP",
  "EXDEV",
  "EINVAL",
  "ENXIO",
]);

/** Converts an error about the file, and rethrows any other. */
function noFile(error: unknown): NoFile {
  const { code = "", name = "" } = error as { code?: string; name?: string };
  if (ABSENT.has(code)) return "absent";
  // NotCapable: Deno may read only this folder, and a link leads out of it.
  if (code === "EACCES" || code === "EPERM" || name === "NotCapable") return "forbidden";
  throw error;
}
