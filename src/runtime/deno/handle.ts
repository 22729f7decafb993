/** The native handles of sockets and pipes in Deno, which `node:net` wraps in its streams. Used
 *  directly, a handle takes a third of the CPU time of a `net.Socket`, and the bytes of a stream pass
 *  fewer functions. The names are those of Node's internals. */

import process from "node:process";
import { getSystemErrorName } from "node:util";
import { Unsupported } from "../../errors.ts";

/** A socket or a pipe. Methods return 0, or a negative error number. */
export interface NativeHandle {
  /** Takes the descriptor over, and makes it non-blocking. */
  open(fd: number): number;
  /** Calls `onread` for what arrives, from the next turn of the event loop on. */
  readStart(): number;
  readStop(): number;
  /** Writes at once what the system accepts, and the rest later: see `Handles.writesLater`. */
  writeBuffer(request: HandleRequest, chunk: Uint8Array): number;
  /** Sends the end of data once all is written. */
  shutdown(request: HandleRequest): number;
  /** Closes the descriptor. Requests that are not complete end with an error. */
  close(): void;
  /** Gets the bytes, or undefined: see `Handles.readResult`. */
  onread?: (this: NativeHandle, bytes: ArrayBuffer | undefined) => void;
}

/** A write or a shutdown under way. It keeps the chunk of a write in memory. */
export interface HandleRequest {
  /** `status`: 0, or a negative error number. */
  oncomplete(status: number): void;
}

/** The classes of handles, and their shared state. */
export interface Handles {
  socket(): NativeHandle;
  pipe(): NativeHandle;
  /** During `onread`: number of bytes, or a negative error number. */
  readResult(): number;
  /** After `writeBuffer`: true if `oncomplete` will be called, and the chunk is needed until then. */
  writesLater(): boolean;
}

/** `readResult` at the end of data. */
export const END_OF_DATA = -4095;

/** The members of `process.binding` that are used here. */
interface Bindings {
  tcp_wrap: { TCP: new (type: number) => NativeHandle };
  pipe_wrap: { Pipe: new (type: number) => NativeHandle };
  stream_wrap: {
    streamBaseState: Int32Array;
    kReadBytesOrError: number;
    kLastWriteWasAsync: number;
  };
}

/** The type of a connected socket, for both classes. */
const CONNECTED = 0;

let loaded: Handles | undefined;

/** Throws `Unsupported` if this version of Deno does not have them. */
export function handles(): Handles {
  return loaded ??= load();
}

function load(): Handles {
  try {
    const { binding } = process as unknown as {
      binding<Name extends keyof Bindings>(name: Name): Bindings[Name];
    };
    const { TCP } = binding("tcp_wrap");
    const { Pipe } = binding("pipe_wrap");
    const { streamBaseState: state, kReadBytesOrError, kLastWriteWasAsync } = binding(
      "stream_wrap",
    );
    for (const method of ["open", "readStart", "readStop", "writeBuffer", "shutdown", "close"]) {
      if (!(method in TCP.prototype && method in Pipe.prototype)) throw new Error(method);
    }
    if (state[kReadBytesOrError] === undefined || state[kLastWriteWasAsync] === undefined) {
      throw new Error("streamBaseState");
    }
    return {
      socket: () => new TCP(CONNECTED),
      pipe: () => new Pipe(CONNECTED),
      readResult: () => state[kReadBytesOrError] as number,
      writesLater: () => state[kLastWriteWasAsync] !== 0,
    };
  } catch {
    throw new Unsupported(
      "use sockets and pipes by their descriptors",
      `Deno ${process.versions["deno"]}`,
      "use Deno 2.9, or run without --allow-ffi",
    );
  }
}

/** The error of a negative error number, in the form of Node's. */
export function handleError(number: number, syscall: string): Error {
  const code = getSystemErrorName(number);
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}
