/** Loads the C library under Deno (Deno.dlopen, --allow-ffi). Translates types, decides nothing. */

import process from "node:process";
import { abiOf, declarations, type Signature } from "../libc/abi.ts";
import { type Libc, makeLibc } from "../libc/libc.ts";
import type { RawLibc } from "../libc/call.ts";

const ARGUMENT = { i32: "i32", u32: "u32", i64: "i64", u64: "u64", memory: "buffer" } as const;
const RETURN = { i32: "i32", u32: "u32", i64: "i64", pointer: "pointer" } as const;

function translate({ args, returns }: Signature): Deno.ForeignFunction {
  return { parameters: args.map((type) => ARGUMENT[type]), result: RETURN[returns] };
}

/** The C library of this process; undefined without the permission for FFI, which is looked up and
 *  never asked for. All of it is needed: with a part (`--allow-ffi=path`, `--deny-ffi=path`) Deno
 *  refuses to read errno, and takes a plain library name for a file of the working directory, where
 *  anyone may have put one.
 *  Throws Unsupported on a system whose constants we do not have, and the loader's error when the
 *  library lacks a symbol. */
export function loadLibc(): Libc | undefined {
  const permission = Deno.permissions.querySync({ name: "ffi" });
  if (permission.state !== "granted" || permission.partial) return undefined;
  const abi = abiOf(process.platform, process.arch);
  const { symbols } = Deno.dlopen(abi.library, declarations(abi, translate));
  const errnoAt = symbols[abi.errnoSymbol] as unknown as () => Deno.PointerObject;
  return makeLibc({
    abi,
    symbols: symbols as unknown as RawLibc["symbols"],
    errno: () => new Deno.UnsafePointerView(errnoAt()).getInt32(),
    address: (memory) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory)),
  });
}

/** malloc_trim(3): gives memory that is free back to the system. Undefined where the library, which has
 *  been loaded before, has none: only glibc has. */
export function loadTrim(): (() => void) | undefined {
  const declared = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;
  try {
    const { library } = abiOf(process.platform, process.arch);
    const { malloc_trim } = Deno.dlopen(library, declared).symbols;
    return () => void malloc_trim(0n);
  } catch {
    return undefined;
  }
}
