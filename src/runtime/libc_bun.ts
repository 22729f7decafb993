/** Loads the C library under Bun (bun:ffi). Translates types, decides nothing. Imported under Bun
 *  only: no other runtime knows `bun:ffi`. */

import * as bunFfi from "bun:ffi";
import process from "node:process";
import { abiOf, type Signature } from "./libc_abi.ts";
import { type Libc, makeLibc } from "./libc.ts";
import type { Argument, Memory, RawLibc } from "./libc_call.ts";

type Pointer = number | bigint;

/** What we use of bun:ffi. For Deno's type checker the module is `any`; bun-types do not pass it. */
interface BunFfi {
  dlopen(name: string, symbols: Record<string, { args: readonly string[]; returns: string }>): {
    symbols: Record<string, (...args: Argument[]) => unknown>;
  };
  ptr(memory: Memory): Pointer;
  read: { i32(pointer: Pointer, offset: number): number };
}

const ffi: BunFfi = bunFfi;

const ARGUMENT = { i32: "i32", u32: "u32", i64: "i64", u64: "u64", memory: "ptr" } as const;
/** `i64_fast` is a 64-bit integer that arrives as a number when it fits into one. */
const RETURN = { i32: "i32", u32: "u32", i64: "i64_fast", pointer: "ptr" } as const;

function translate({ args, returns }: Signature) {
  return { args: args.map((type) => ARGUMENT[type]), returns: RETURN[returns] };
}

/** The C library of this process. Throws Unsupported on a system whose constants we do not have,
 *  and the loader's error when no library of that name has all the symbols. */
export function loadLibc(): Libc {
  const abi = abiOf(process.platform, process.arch);
  const declared = Object.fromEntries(
    Object.entries(abi.signatures).map(([name, one]) => [name, translate(one)]),
  );
  let failure: unknown;
  for (const library of abi.libraries) {
    try {
      const symbols = ffi.dlopen(library, declared).symbols;
      const errnoAt = symbols[abi.errnoSymbol] as () => Pointer;
      return makeLibc({
        abi,
        symbols: symbols as RawLibc["symbols"],
        errno: () => ffi.read.i32(errnoAt(), 0),
        address: (memory) => BigInt(ffi.ptr(memory)),
      });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
