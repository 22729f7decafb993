/** Error numbers of the C library: their names and texts, and the error that carries them.
 *  Numbers differ between systems, names do not: code compares `error.code`. */

/** Name, number on Linux, number on macOS (0: has none), text. Only errors of our calls. */
const TABLE: readonly (readonly [string, number, number, string])[] = [
  ["EPERM", 1, 1, "operation not permitted"],
  ["ENOENT", 2, 2, "no such file or directory"],
  ["ESRCH", 3, 3, "no such process"],
  ["EINTR", 4, 4, "interrupted system call"],
  ["EIO", 5, 5, "input/output error"],
  ["ENXIO", 6, 6, "no such device or address"],
  ["E2BIG", 7, 7, "argument list too long"],
  ["ENOEXEC", 8, 8, "exec format error"],
  ["EBADF", 9, 9, "bad file descriptor"],
  ["ECHILD", 10, 10, "no child processes"],
  ["EAGAIN", 11, 35, "resource temporarily unavailable"],
  ["ENOMEM", 12, 12, "out of memory"],
  ["EACCES", 13, 13, "permission denied"],
  ["EFAULT", 14, 14, "bad address"],
  ["EBUSY", 16, 16, "device or resource busy"],
  ["EXDEV", 18, 18, "outside of the folder or file system"],
  ["ENODEV", 19, 19, "no such device"],
  ["ENOTDIR", 20, 20, "not a directory"],
  ["EISDIR", 21, 21, "is a directory"],
  ["EINVAL", 22, 22, "invalid argument"],
  ["ENFILE", 23, 23, "too many open files in system"],
  ["EMFILE", 24, 24, "too many open files"],
  ["ENOTTY", 25, 25, "inappropriate ioctl for device"],
  ["ETXTBSY", 26, 26, "text file busy"],
  ["EFBIG", 27, 27, "file too large"],
  ["ENOSPC", 28, 28, "no space left on device"],
  ["ESPIPE", 29, 29, "illegal seek"],
  ["EPIPE", 32, 32, "broken pipe"],
  ["ENAMETOOLONG", 36, 63, "file name too long"],
  ["ENOSYS", 38, 78, "function not implemented"],
  ["ELOOP", 40, 62, "too many symbolic links"],
  ["ENONET", 64, 0, "machine is not on the network"],
  ["EPROTO", 71, 100, "protocol error"],
  ["EOVERFLOW", 75, 84, "value too large"],
  ["ENOTSOCK", 88, 38, "not a socket"],
  ["EDESTADDRREQ", 89, 39, "destination address required"],
  ["EMSGSIZE", 90, 40, "message too long"],
  ["EPROTOTYPE", 91, 41, "protocol wrong type for socket"],
  ["ENOPROTOOPT", 92, 42, "protocol not available"],
  ["EPROTONOSUPPORT", 93, 43, "protocol not supported"],
  ["ESOCKTNOSUPPORT", 94, 44, "socket type not supported"],
  ["EOPNOTSUPP", 95, 102, "operation not supported"],
  ["EAFNOSUPPORT", 97, 47, "address family not supported"],
  ["EADDRINUSE", 98, 48, "address already in use"],
  ["EADDRNOTAVAIL", 99, 49, "address not available"],
  ["ENETDOWN", 100, 50, "network is down"],
  ["ENETUNREACH", 101, 51, "network is unreachable"],
  ["ECONNABORTED", 103, 53, "connection aborted"],
  ["ECONNRESET", 104, 54, "connection reset by peer"],
  ["ENOBUFS", 105, 55, "no buffer space available"],
  ["ENOTCONN", 107, 57, "not connected"],
  ["ETOOMANYREFS", 109, 59, "too many descriptors in flight"],
  ["ETIMEDOUT", 110, 60, "timed out"],
  ["ECONNREFUSED", 111, 61, "connection refused"],
  ["EHOSTDOWN", 112, 64, "host is down"],
  ["EHOSTUNREACH", 113, 65, "no route to host"],
  ["EINPROGRESS", 115, 36, "in progress"],
];

/** A call that the system refused. The message reads `bind: address already in use (EADDRINUSE)`. */
export class SystemError extends Error {
  override name = "SystemError";
  constructor(
    /** Name of the call, `bind`. */
    readonly syscall: string,
    /** Name of the error, `EADDRINUSE`; `E123` for a number without a name here. */
    readonly code: string,
    /** Its number on this system. */
    readonly errno: number,
    text: string,
  ) {
    super(`${syscall}: ${text} (${code})`);
  }
}

/** The error for `errno` on `os`, given by `syscall`. */
export function systemError(
  syscall: string,
  errno: number,
  os: "linux" | "darwin",
): SystemError {
  const row = TABLE.find(([, linux, darwin]) => errno === (os === "linux" ? linux : darwin));
  if (errno === 0 || !row) return new SystemError(syscall, `E${errno}`, errno, "unknown error");
  return new SystemError(syscall, row[0], errno, row[3]);
}
