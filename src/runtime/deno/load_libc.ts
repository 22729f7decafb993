/** Loads the C library under Deno (Deno.dlopen, --allow-ffi). Only translates types. */

import process from "node:process";
import { abiOf, declarations, type Signature } from "../libc/abi.ts";
import { type Libc, makeLibc } from "../libc/libc.ts";
import type { RawLibc } from "../libc/call.ts";

const ARGUMENT = { i32: "i32", u32: "u32", i64: "i64", u64: "u64", memory: "buffer" } as const;
const RETURN = { i32: "i32", u32: "u32", i64: "i64", pointer: "pointer" } as const;

function translate({ args, returns }: Signature): Deno.ForeignFunction {
  return { parameters: args.map((type) => ARGUMENT[type]), result: RETURN[returns] };
}

/** Returns the C library of this process; undefined without the permission for FFI, for which it
 *  never prompts. A partial permission (`--allow-ffi=path`, `--deny-ffi=path`) does not suffice:
 *  Deno then refuses to read errno, and takes a plain library name for a file of the working
 *  directory, where any user may have put one. Throws `Unsupported` on a system without a table in
 *  abi.ts, and the loader's error if the library lacks a symbol. */
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

/** malloc_trim(3), which returns free memory to the system. Undefined without glibc. */
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
