/** Loads the C library under Bun (bun:ffi). Only translates types. Imported only under Bun: no
 *  other runtime has `bun:ffi`. */

import * as bunFfi from "bun:ffi";
import fs from "node:fs";
import process from "node:process";
import { EXIT, FatalError, reason } from "../../errors.ts";
import { abiOf, declarations, type Signature } from "../libc/abi.ts";
import { type Libc, makeLibc } from "../libc/libc.ts";
import type { Argument, Memory, RawLibc } from "../libc/call.ts";

type Pointer = number | bigint;

/** The part of bun:ffi used here. Deno's type checker sees the module as `any`. */
interface BunFfi {
  dlopen(name: string, symbols: Record<string, { args: readonly string[]; returns: string }>): {
    symbols: Record<string, (...args: Argument[]) => unknown>;
  };
  ptr(memory: Memory): Pointer;
  read: { i32(pointer: Pointer, offset: number): number };
}

const ffi: BunFfi = bunFfi;

const ARGUMENT = { i32: "i32", u32: "u32", i64: "i64", u64: "u64", memory: "ptr" } as const;
/** `i64_fast` is a 64-bit integer that is returned as a number if it fits into one. */
const RETURN = { i32: "i32", u32: "u32", i64: "i64_fast", pointer: "ptr" } as const;

function translate({ args, returns }: Signature) {
  return { args: args.map((type) => ARGUMENT[type]), returns: RETURN[returns] };
}

/** Returns the C library of this process. Throws `Unsupported` on a system without a table in
 *  abi.ts, and `FatalError` with the cause if calls cannot be made. */
export function loadLibc(): Libc {
  const abi = abiOf(process.platform, process.arch);
  try {
    const { symbols } = ffi.dlopen(abi.library, declarations(abi, translate));
    const errnoAt = symbols[abi.errnoSymbol] as () => Pointer;
    return makeLibc({
      abi,
      symbols: symbols as RawLibc["symbols"],
      errno: () => ffi.read.i32(errnoAt(), 0),
      address: (memory) => BigInt(ffi.ptr(memory)),
    });
  } catch (error) {
    throw unableToCall(error);
  }
}

/** The error with its likely cause: bun:ffi generates machine code at run time, which limits can
 *  forbid. */
function unableToCall(failure: unknown): FatalError {
  const limit = addressSpace();
  const what = "unable to call the C library";
  if (limit !== undefined && limit < NEEDED_SPACE) {
    const has = Math.floor(limit / 1e6);
    return new FatalError(
      `${what}: the limit on address space is ${has} MB, and Bun needs ${NEEDED_SPACE / 1e6} MB`,
      EXIT.system,
      "raise it (ulimit -v, softlimit -a or -m, LimitAS=); to limit memory use a cgroup (MemoryMax=)",
    );
  }
  return new FatalError(
    `${what}: ${reason(failure)}`,
    EXIT.system,
    "memory must be executable: unset MemoryDenyWriteExecute=, or allow execmem (SELinux)",
  );
}

/** Bytes of address space that Bun needs for itself and its code generator, as measured. */
const NEEDED_SPACE = 4_000_000_000;

/** The soft limit on address space in bytes; undefined if there is none or it is not known. */
function addressSpace(): number | undefined {
  try {
    const text = fs.readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max address space +(\d+)/m.exec(text)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
