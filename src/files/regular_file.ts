/** Opens the files of a configuration. A file may have been replaced by a FIFO, a device, a
 *  socket or a folder. Opening it must neither block the server nor have a side effect. */

import { Buffer } from "node:buffer";
import fs from "node:fs";
import { encodeOsText } from "../codec/os_text.ts";

/** Opens a regular file, or a link to one, for reading. The caller closes it. Throws the system's
 *  error, or an error that names the other kind of file. */
export function openRegular(path: string): number {
  // Checked before opening: to open a device may have a side effect, and a socket cannot be opened.
  requireRegular(fs.statSync(fsPath(path)));
  // O_NONBLOCK: if a FIFO has replaced the file since the check, open must not wait for its writer.
  const fd = fs.openSync(fsPath(path), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    requireRegular(fs.fstatSync(fd));
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Throws for anything but a regular file, or /dev/null, which serves as an empty file. A pipe
 *  is refused because it can be read only once: files are read again after each change and for
 *  each new worker. */
export function requireRegular(stat: fs.Stats): void {
  if (stat.isFile()) return;
  if (stat.isCharacterDevice() && stat.rdev === fs.statSync("/dev/null").rdev) return;
  const kind = stat.isDirectory()
    ? "a directory"
    : stat.isFIFO()
    ? "a pipe"
    : stat.isSocket()
    ? "a socket"
    : "a device";
  throw new Error(`${kind}, not a regular file`);
}

/** A path for node:fs. A path that is not UTF-8 (os_text.ts) becomes bytes. Bun passes them
 *  unchanged to the system; Deno finds no such file. */
export function fsPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : Buffer.from(encodeOsText(path));
}
