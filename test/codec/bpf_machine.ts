/** An interpreter for filters: runs the instructions that our filters use, as the kernel does. */

import { assert, assertStrictEquals, fail } from "@std/assert";
import type { FilterAction } from "../../src/codec/bpf.ts";

const ARCH = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003, arm: 0x40000028 } as const;

export interface Call {
  nr: number;
  args?: bigint[];
  arch?: keyof typeof ARCH;
}

/** The bytes of a struct seccomp_data. */
function data({ nr, args = [], arch = "x64" }: Call): DataView {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, nr, true);
  view.setUint32(4, ARCH[arch], true);
  view.setBigUint64(8, 0x7fff_1234_5678n, true);
  for (let i = 0; i < 6; i++) {
    view.setBigUint64(16 + 8 * i, args[i] ?? 0xdead_beef_0bad_f00dn, true);
  }
  return view;
}

/** Runs the program for a call. Returns its result and the number of instructions. Works like the kernel
 *  (bpf(4), seccomp(2)) and is as strict: throws on anything that the kernel rejects. */
export function run(program: Uint8Array, call: Call): { action: FilterAction; steps: number } {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const input = data(call);
  let a = 0;
  let steps = 0;
  for (let at = 0;; at++) {
    assert(8 * at + 8 <= program.length, "the program runs past its end");
    steps++;
    const jt = code.getUint8(8 * at + 2);
    const jf = code.getUint8(8 * at + 3);
    const k = code.getUint32(8 * at + 4, true);
    const operation = code.getUint16(8 * at, true);
    switch (operation) {
      case 0x20:
        assertStrictEquals(k % 4, 0, "a load that is not aligned");
        a = input.getUint32(k, true);
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x05:
        at += k;
        break;
      case 0x15:
        at += a === k ? jt : jf;
        break;
      case 0x35:
        at += a >= k ? jt : jf;
        break;
      case 0x06: {
        if (k === 0x7fff0000) return { action: "allow", steps };
        if (k === 0x80000000) return { action: "kill", steps };
        assertStrictEquals(k >>> 16, 5, `an answer nobody knows: ${k}`);
        return { action: k & 0xffff, steps };
      }
      default:
        fail(`an operation nobody knows: ${operation}`);
    }
  }
}
