/** Opening the files of a configuration. What an administrator named may have been replaced by a FIFO,
 *  a device, a socket or a folder: it must neither make the server wait nor have an effect. */

import { Buffer } from "node:buffer";
import fs from "node:fs";
import { encodeOsText } from "../codec/os_text.ts";

/** Opens a regular file, or what a link to one means, for reading; the caller closes it. Throws the
 *  system's error, or says what is there instead. */
export function openRegular(path: string): number {
  // Before: opening a device may do something, and a socket cannot be opened.
  requireRegular(fs.statSync(fsPath(path)));
  // O_NONBLOCK: a FIFO that has come since must not make us wait for its writer.
  const fd = fs.openSync(fsPath(path), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    requireRegular(fs.fstatSync(fd));
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Throws for anything but a regular file, or /dev/null, which is used as an empty one. A pipe is
 *  refused although it could be read once: files are read again for each change and for each new
 *  worker. */
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

/** A path for node:fs. One that is not UTF-8 (os_text.ts) goes as bytes, which Bun hands to the system as
 *  they are; Deno finds no such file. */
export function fsPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : Buffer.from(encodeOsText(path));
}
