/** Passes descriptors with a message (unix(7), SCM_RIGHTS): encodes and decodes the control
 *  buffer and the message header of sendmsg(2) and recvmsg(2). Pure: no I/O;
 *  runtime/libc/pass.ts makes the calls. Layouts are those of 64-bit little-endian machines, the
 *  only ones that are supported. */

import { DecodeError } from "./bytes.ts";

/** Sizes and offsets of struct cmsghdr and struct msghdr on one system. */
export interface MsghdrLayout {
  /** SOL_SOCKET, the level of SCM_RIGHTS (whose type is 1 everywhere). */
  readonly level: number;
  /** In bytes: cmsg_len (a size_t or a socklen_t), the header, the alignment of the next header. */
  readonly lengthBytes: 4 | 8;
  readonly headerBytes: number;
  readonly align: number;
  /** struct msghdr, in bytes: its size, the width of msg_controllen, the offset of msg_flags. */
  readonly messageBytes: number;
  readonly controlLengthBytes: 4 | 8;
  readonly flagsAt: number;
}

/** By system. musl declares cmsg_len and msg_controllen as 32 bits and 32 bits of padding. On a
 *  little-endian machine these are the same bytes as glibc's 64 bits if the padding is zero. */
export const MSGHDR_LAYOUT: Readonly<Record<"linux" | "darwin", MsghdrLayout>> = {
  linux: {
    level: 1,
    lengthBytes: 8,
    headerBytes: 16,
    align: 8,
    messageBytes: 56,
    controlLengthBytes: 8,
    flagsAt: 48,
  },
  darwin: {
    level: 0xffff,
    lengthBytes: 4,
    headerBytes: 12,
    align: 4,
    messageBytes: 48,
    controlLengthBytes: 4,
    flagsAt: 44,
  },
};

/** Maximum number of descriptors in one message: Linux's SCM_MAX_FD. With more, sendmsg(2) fails
 *  with EINVAL. */
export const MAX_DESCRIPTORS = 253;

const SCM_RIGHTS = 1;
const IOV_AT = 16;
const IOV_COUNT_AT = 24;
const CONTROL_AT = 32;
const CONTROL_LENGTH_AT = 40;

/** Returns the length of a control buffer for exactly `count` descriptors (CMSG_LEN, without the
 *  padding after it); 0 for none. The buffer for recvmsg must not include the padding: the kernel
 *  would store one descriptor more than expected there. */
export function controlLength(count: number, layout: MsghdrLayout): number {
  return count === 0 ? 0 : layout.headerBytes + 4 * count;
}

/** Writes the control message for `fds` at the start of `control`; returns its length in bytes.
 *  Throws RangeError for more than MAX_DESCRIPTORS or than `control` holds. */
export function encodeRights(
  fds: readonly number[],
  control: Uint8Array,
  layout: MsghdrLayout,
): number {
  const length = controlLength(fds.length, layout);
  if (fds.length > MAX_DESCRIPTORS || length > control.length) {
    throw new RangeError(`unable to pass ${fds.length} descriptors: too many for one message`);
  }
  if (length === 0) return 0;
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  writeLength(view, 0, length, layout.lengthBytes);
  view.setInt32(layout.lengthBytes, layout.level, true);
  view.setInt32(layout.lengthBytes + 4, SCM_RIGHTS, true);
  fds.forEach((fd, i) => view.setInt32(layout.headerBytes + 4 * i, fd, true));
  return length;
}

/** The content of a control buffer: the descriptors, which are open and which the receiver must
 *  close, and whether it had a control message of another kind. */
export interface Rights {
  readonly fds: number[];
  readonly foreign: boolean;
}

/** Reads the control buffer that recvmsg filled. Throws DecodeError if a control message in it is
 *  shorter than its header or extends past the end. */
export function decodeRights(control: Uint8Array, layout: MsghdrLayout): Rights {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const fds: number[] = [];
  let foreign = false;
  for (let at = 0; at < control.length;) {
    if (control.length - at < layout.headerBytes) {
      throw new DecodeError(`scm_rights: header: cut short at byte ${at}`);
    }
    const length = readLength(view, at, layout.lengthBytes);
    if (length < layout.headerBytes) {
      throw new DecodeError(`scm_rights: length: ${length} is less than its header at byte ${at}`);
    }
    if (length > control.length - at) {
      throw new DecodeError(`scm_rights: length: ${length} reaches past the end at byte ${at}`);
    }
    const level = view.getInt32(at + layout.lengthBytes, true);
    const type = view.getInt32(at + layout.lengthBytes + 4, true);
    if (level === layout.level && type === SCM_RIGHTS) {
      for (let fd = at + layout.headerBytes; fd + 4 <= at + length; fd += 4) {
        fds.push(view.getInt32(fd, true));
      }
    } else {
      foreign = true;
    }
    at += Math.ceil(length / layout.align) * layout.align;
  }
  return { fds, foreign };
}

/** Addresses and lengths for a message header. `iov` is the address of a struct iovec. */
export interface MsghdrParts {
  readonly iov: bigint;
  readonly control: bigint;
  readonly controlLength: number;
}

/** Writes a struct msghdr with one iovec and without a socket address. Clears the flags. */
export function encodeMsghdr(header: Uint8Array, parts: MsghdrParts, layout: MsghdrLayout) {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  header.fill(0);
  view.setBigUint64(IOV_AT, parts.iov, true);
  view.setUint32(IOV_COUNT_AT, 1, true);
  // macOS fails with EINVAL for a control address with length 0.
  if (parts.controlLength > 0) view.setBigUint64(CONTROL_AT, parts.control, true);
  writeLength(view, CONTROL_LENGTH_AT, parts.controlLength, layout.controlLengthBytes);
}

/** What recvmsg wrote back into the header: bytes of control data, and MSG_* flags. */
export function decodeMsghdr(
  header: Uint8Array,
  layout: MsghdrLayout,
): { controlLength: number; flags: number } {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  return {
    controlLength: readLength(view, CONTROL_LENGTH_AT, layout.controlLengthBytes),
    flags: view.getInt32(layout.flagsAt, true),
  };
}

/** Writes a struct iovec for `length` bytes at `address`. */
export function encodeIovec(iovec: Uint8Array, address: bigint, length: number): void {
  const view = new DataView(iovec.buffer, iovec.byteOffset, iovec.byteLength);
  view.setBigUint64(0, address, true);
  view.setBigUint64(8, BigInt(length), true);
}

function writeLength(view: DataView, at: number, length: number, bytes: 4 | 8): void {
  if (bytes === 4) view.setUint32(at, length, true);
  else view.setBigUint64(at, BigInt(length), true);
}

function readLength(view: DataView, at: number, bytes: 4 | 8): number {
  return bytes === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}
