/** Encodes addresses of Unix sockets for the kernel (struct sockaddr_un, unix(7)). Pure: no I/O.
 *  On Linux they begin with a 16-bit family and have room for 108 bytes, on macOS with a length
 *  byte and an 8-bit family, and room for 104. */

import type { SockaddrFlavour } from "./sockaddr.ts";

const AF_UNIX = 1;
/** Bytes before the path. */
const HEADER = 2;
/** Bytes for the path and its NUL. A longer path would be cut, and name another socket. */
const ROOM = { linux: 108, darwin: 104 };

/** Returns the struct for connect(2), no longer than the name needs. `name` is an absolute path,
 *  or on Linux `@name` for the abstract socket `name`. Throws RangeError for a name of another
 *  form and for one that is too long. */
export function encodeUnixSockaddr(
  name: string,
  flavour: SockaddrFlavour,
): Uint8Array<ArrayBuffer> {
  const abstract = name.startsWith("@") && flavour === "linux";
  if (!abstract && !name.startsWith("/")) {
    throw new RangeError(
      `'${name}' is not an absolute path${flavour === "linux" ? " or an @name" : ""}`,
    );
  }
  if (name.length < 2) throw new RangeError(`'${name}' names no socket`);
  if (name.includes("\0")) throw new RangeError("the socket's name contains a NUL");
  const text = new TextEncoder().encode(name);
  if (text.length >= ROOM[flavour]) {
    throw new RangeError(`'${name}' is longer than ${ROOM[flavour] - 1} bytes`);
  }
  // An abstract name has a NUL in place of the @, and none at the end: every byte of it counts.
  const bytes = new Uint8Array(HEADER + text.length + (abstract ? 0 : 1));
  if (flavour === "linux") bytes[0] = AF_UNIX;
  else bytes.set([HEADER + text.length, AF_UNIX]);
  bytes.set(text, HEADER);
  if (abstract) bytes[HEADER] = 0;
  return bytes;
}
