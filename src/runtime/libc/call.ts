/** Makes calls of the C library, and checks their arguments and results. The loaders
 *  (bun/load_libc.ts, deno/load_libc.ts) make a RawLibc; everything above it is common to both
 *  runtimes. */

import type { Abi, ArgumentType } from "./abi.ts";
import { encodeOsText } from "../../codec/os_text.ts";
import { type SystemError, systemError } from "./errno.ts";

/** Memory of ours, in its own ArrayBuffer, which no collector moves. */
export type Memory = Uint8Array<ArrayBuffer>;

/** A number, or memory whose address is passed. */
export type Argument = number | Memory;

/** The result of a loader: the symbols of `Abi.signatures`, errno, and the address of memory. */
export interface RawLibc {
  readonly abi: Abi;
  readonly symbols: Readonly<Record<string, (...args: Argument[]) => number | bigint>>;
  /** The calling thread's errno. */
  errno(): number;
  /** The address of `memory`. Keep a reference to `memory` for as long as the address is used. */
  address(memory: Memory): bigint;
}

/** `n` bytes that stay where they are. (Small typed arrays without an ArrayBuffer of their own
 *  live in the engine's heap, and move.) */
export function memory(n: number): Memory {
  return new Uint8Array(new ArrayBuffer(n));
}

/** Converts `text` to a C string. Throws if it contains NUL, which would cut it short. */
export function cString(text: string): Memory {
  if (text.includes("\0")) throw new TypeError("unable to pass a string to C: it contains a NUL");
  const bytes = encodeOsText(text);
  const copy = memory(bytes.length + 1);
  copy.set(bytes);
  return copy;
}

/** The same number on every system. */
const ENOENT = 2;

/** Makes calls and turns failures into SystemError. A call that a signal interrupted is made
 *  again, except through `once`. */
export class Caller {
  readonly abi: Abi;
  readonly #int = memory(4);
  readonly #intView = new DataView(this.#int.buffer);

  constructor(readonly raw: RawLibc) {
    this.abi = raw.abi;
  }

  /** The result as it is, −1 included. */
  once(name: string, ...args: Argument[]): number {
    return this.#call(name, args);
  }

  /** Like `once`. Arguments are spread once per call, which takes time. */
  #call(name: string, args: Argument[]): number {
    const call = this.raw.symbols[name];
    const types = this.abi.signatures[name]?.args;
    if (!call || types?.length !== args.length) {
      throw new TypeError(`unable to call ${name}: no such function with ${args.length} arguments`);
    }
    // A runtime silently turns undefined or NaN into 0: close(undefined) would be close(0).
    for (let i = 0; i < args.length; i++) {
      if (!fits(args[i], types[i])) {
        throw new TypeError(`unable to call ${name}: argument ${i + 1} is not of type ${types[i]}`);
      }
    }
    return Number(call(...args));
  }

  /** The error of the call just made. Nothing may run between the call and this. */
  error(name: string): SystemError {
    return systemError(name, this.raw.errno(), this.abi.os);
  }

  /** A call that returns 0, or fails. */
  zero(name: string, ...args: Argument[]): void {
    if (this.#value(name, args) !== 0) {
      throw new TypeError(`unable to call ${name}: it returned neither 0 nor -1`);
    }
  }

  /** A call that returns a number from 0 up, or fails. */
  value(name: string, ...args: Argument[]): number {
    return this.#value(name, args);
  }

  #value(name: string, args: Argument[]): number {
    for (;;) {
      const result = this.#call(name, args);
      if (result >= 0) return result;
      const error = this.error(name);
      if (error.code !== "EINTR") throw error;
    }
  }

  /** Like `value`; undefined if it would have to wait (EAGAIN). */
  unlessBlocked(name: string, ...args: Argument[]): number | undefined {
    for (;;) {
      const result = this.#call(name, args);
      if (result >= 0) return result;
      const error = this.error(name);
      if (error.code === "EAGAIN") return undefined;
      if (error.code !== "EINTR") throw error;
    }
  }

  /** Like `value`; undefined if there is no such file (ENOENT). In that case it makes no error
   *  object, because most of the names that are tried do not exist. */
  unlessAbsent(name: string, ...args: Argument[]): number | undefined {
    for (;;) {
      const result = this.#call(name, args);
      if (result >= 0) return result;
      const errno = this.raw.errno();
      if (errno === ENOENT) return undefined;
      const error = systemError(name, errno, this.abi.os);
      if (error.code !== "EINTR") throw error;
    }
  }

  /** Sets a socket option that is an int. */
  setOption(fd: number, level: number, option: number, value: number): void {
    this.#intView.setInt32(0, value, true);
    this.zero("setsockopt", fd, level, option, this.#int, 4);
  }

  /** fcntl(2) with one number, 0 for the commands that take none. */
  fcntl(fd: number, command: number, value = 0): number {
    const fill = new Array<number>(this.abi.variadicFill).fill(0);
    return this.value("fcntl", fd, command, ...fill, value);
  }
}

/** Checks an argument. Called for every argument of every call, so it allocates nothing. */
function fits(arg: Argument | undefined, type: ArgumentType | undefined): boolean {
  if (type === "memory") return arg instanceof Uint8Array;
  if (typeof arg !== "number") return false;
  switch (type) {
    case "i32":
      return (arg | 0) === arg;
    case "u32":
      return (arg >>> 0) === arg;
    case "i64":
      return Number.isSafeInteger(arg);
    case "u64":
      return Number.isSafeInteger(arg) && arg >= 0;
    default:
      return false;
  }
}
