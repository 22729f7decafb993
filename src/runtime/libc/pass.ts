/** Descriptors between processes: sendmsg(2) and recvmsg(2) on a Unix socket with SCM_RIGHTS.
 *  Never waits. Received descriptors are closed on exec. If a message is not as expected, they are closed
 *  at once. */

import {
  controlLength,
  decodeMsghdr,
  decodeRights,
  encodeIovec,
  encodeMsghdr,
  encodeRights,
  MAX_DESCRIPTORS,
  MSGHDR_LAYOUT,
} from "../../codec/scm_rights.ts";
import { type Caller, type Memory, memory } from "./call.ts";
import type { DescriptorCalls } from "./descriptors.ts";

/** A message with its descriptors, which the receiver must close. No bytes and no descriptors: the
 *  other side has closed. */
export interface Received {
  readonly bytes: Memory;
  readonly fds: number[];
}

/** Not all descriptors that were sent have arrived: the table of open files of this process or of
 *  the system is full. Their message has been read, and those that arrived are closed. */
export class LostDescriptors extends Error {
  override name = "LostDescriptors";
}

/** Passing descriptors. All throw SystemError. */
export interface PassCalls {
  /** Sends `bytes` (1 to 65,536) and copies of `fds` (at most 253). Returns the number of bytes
   *  sent, which may be smaller on a stream; the descriptors were sent with the first byte. Returns
   *  undefined and sends nothing if it would have to wait. */
  sendDescriptors(socket: number, bytes: Uint8Array, fds: readonly number[]): number | undefined;
  /** Receives up to `maxBytes` (1 to 65,536) and `maxFds` (0 to 253). Undefined if there is nothing
   *  yet. If more came than that, everything received is closed and it throws. Throws
   *  `LostDescriptors`. */
  receiveDescriptors(socket: number, maxBytes: number, maxFds: number): Received | undefined;
  /** Makes the other side fail with EPERM if it sends descriptors to this socket. Without this, a
   *  descriptor that arrives is closed by the process that reads, and closing a socket with
   *  SO_LINGER blocks that process as long as the sender has chosen. Returns false if the system
   *  has no such option (Linux has it from 6.16 on). */
  refuseDescriptors(socket: number): boolean;
}

/** unix(7). */
const SO_PASSRIGHTS = 83;

/** Longest message, in bytes. Our own protocol's are far shorter. */
const MAX_MESSAGE = 65536;

/** The calls, made through `c`. */
export function passCalls(c: Caller, descriptors: DescriptorCalls): PassCalls {
  const layout = MSGHDR_LAYOUT[c.abi.os];
  const k = c.abi.constants;
  // They contain addresses of each other. These references keep all of them in memory as long as
  // the calls below exist. An address of collected memory would give EFAULT, or unrelated bytes.
  const body = memory(MAX_MESSAGE);
  const iovec = memory(16);
  const control = memory(controlLength(MAX_DESCRIPTORS, layout));
  const header = memory(layout.messageBytes);
  const bodyAddress = c.raw.address(body);
  const iovecAddress = c.raw.address(iovec);
  const controlAddress = c.raw.address(control);

  function checkLength(length: number): void {
    if (!Number.isInteger(length) || length < 1 || length > MAX_MESSAGE) {
      throw new RangeError(`unable to pass descriptors: ${length} bytes, not 1 to ${MAX_MESSAGE}`);
    }
  }

  function prepare(bytes: number, controlBytes: number): void {
    encodeIovec(iovec, bodyAddress, bytes);
    const parts = { iov: iovecAddress, control: controlAddress, controlLength: controlBytes };
    encodeMsghdr(header, parts, layout);
  }

  function closeAll(fds: readonly number[]): void {
    for (const fd of fds) descriptors.close(fd);
  }

  return {
    sendDescriptors(socket, bytes, fds) {
      checkLength(bytes.length); // a stream drops descriptors that come without a byte
      body.set(bytes);
      prepare(bytes.length, encodeRights(fds, control, layout));
      return c.unlessBlocked("sendmsg", socket, header, k.MSG_DONTWAIT | k.MSG_NOSIGNAL);
    },

    receiveDescriptors(socket, maxBytes, maxFds) {
      checkLength(maxBytes);
      if (!Number.isInteger(maxFds) || maxFds < 0 || maxFds > MAX_DESCRIPTORS) {
        throw new RangeError(
          `unable to receive descriptors: ${maxFds} is too many for one message`,
        );
      }
      prepare(maxBytes, controlLength(maxFds, layout));
      const flags = k.MSG_DONTWAIT | k.MSG_CMSG_CLOEXEC;
      const length = c.unlessBlocked("recvmsg", socket, header, flags);
      if (length === undefined) return undefined;
      const result = decodeMsghdr(header, layout);
      const { fds, foreign } = decodeRights(control.subarray(0, result.controlLength), layout);
      // MSG_CTRUNC: the kernel dropped some, because there was no room or no free descriptor. What
      // is left is not what was sent, and its meaning by position is lost.
      if (result.flags & k.MSG_CTRUNC) {
        closeAll(fds);
        throw new LostDescriptors("descriptors were cut off: too many open files");
      }
      const odd = result.flags & k.MSG_TRUNC
        ? `the message is longer than ${maxBytes} bytes`
        : foreign
        ? "there is control data of another kind"
        : undefined;
      if (odd !== undefined) {
        closeAll(fds);
        throw new RangeError(`unable to receive descriptors: ${odd}`);
      }
      if (c.abi.os === "darwin") fds.forEach((fd) => descriptors.setCloseOnExec(fd, true));
      return { bytes: body.slice(0, length), fds };
    },

    refuseDescriptors(socket) {
      if (c.abi.os !== "linux") return false;
      try {
        c.setOption(socket, k.SOL_SOCKET, SO_PASSRIGHTS, 0);
        return true;
      } catch {
        return false; // ENOPROTOOPT
      }
    },
  };
}
