/** System calls as an intruder makes them: without the runtime and the wrappers of the library. */

import process from "node:process";
import { syscallNumbers } from "../../src/privsep/syscalls.ts";

/** Makes a system call by name, or by number if it has no name. For a byte array it passes the address.
 *  Returns the result, or −errno. */
export type RawSyscall = (
  call: string | number,
  ...args: (number | Uint8Array<ArrayBuffer>)[]
) => number;

/** syscall(2): the number of the call, then six arguments. */
type Syscall = (...args: number[]) => number | bigint;

interface BunFfi {
  dlopen(
    name: string,
    symbols: object,
  ): { symbols: Record<string, (...args: number[]) => unknown> };
  read: { i32(pointer: unknown, offset: number): number };
  ptr(memory: Uint8Array): number;
}

/** The functions that differ between the loaders. */
interface Calls {
  syscall: Syscall;
  errno: () => number;
  address: (memory: Uint8Array<ArrayBuffer>) => number;
}

const SIX = [0, 0, 0, 0, 0, 0];

export const NUMBERS = syscallNumbers(process.arch === "arm64" ? "arm64" : "x64");

function numberOf(name: string): number {
  const nr = NUMBERS.get(name);
  if (nr === undefined) throw new Error(`unable to call ${name}: no such system call here`);
  return nr;
}

/** A function that makes system calls on the calling thread. */
export async function rawSyscall(): Promise<RawSyscall> {
  const { syscall, errno, address } = "Bun" in globalThis ? await underBun() : underDeno();
  return (call, ...args) => {
    const nr = typeof call === "number" ? call : numberOf(call);
    const numbers = args.map((arg) => typeof arg === "number" ? arg : address(arg));
    const result = Number(syscall(nr, ...numbers, ...SIX.slice(args.length)));
    return result === -1 ? -errno() : result;
  };
}

/** Makes a system call on another thread, under Deno. The result shows success or failure, but no errno. */
export function syscallElsewhere(name: string, ...args: number[]): Promise<number> {
  const { symbols } = Deno.dlopen("libc.so.6", {
    syscall: { parameters: Array(7).fill("i64"), result: "i64", nonblocking: true },
  });
  const call = symbols.syscall as unknown as (...args: bigint[]) => Promise<bigint>;
  const all = [numberOf(name), ...args, ...SIX.slice(args.length)];
  return call(...all.map(BigInt)).then(Number);
}

async function underBun(): Promise<Calls> {
  const ffi: BunFfi = await import(["bun", "ffi"].join(":")); // Deno's loader must not see the name
  const { symbols } = ffi.dlopen("libc.so.6", {
    syscall: { args: Array(7).fill("i64"), returns: "i64_fast" },
    __errno_location: { args: [], returns: "ptr" },
  });
  return {
    syscall: symbols["syscall"] as Syscall,
    errno: () => ffi.read.i32(symbols["__errno_location"]?.(), 0),
    address: (memory) => ffi.ptr(memory),
  };
}

function underDeno(): Calls {
  const { symbols } = Deno.dlopen("libc.so.6", {
    syscall: { parameters: Array(7).fill("i64"), result: "i64" },
    __errno_location: { parameters: [], result: "pointer" },
  });
  return {
    syscall: (...args) =>
      (symbols.syscall as unknown as (...a: bigint[]) => bigint)(...args.map(BigInt)),
    errno: () =>
      new Deno.UnsafePointerView(symbols.__errno_location() as Deno.PointerObject).getInt32(),
    address: (memory) => Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory))),
  };
}
