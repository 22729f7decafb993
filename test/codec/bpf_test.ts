/** Filters, tested by their results for calls. */

import { assert, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  type ArgumentTest,
  type Condition,
  type FilterAction,
  type FilterPolicy,
  seccompProgram,
} from "../../src/codec/bpf.ts";
import { run } from "./bpf_machine.ts";

function filter(
  calls: readonly (readonly [number, FilterAction | Condition])[],
  rest: Partial<FilterPolicy> = {},
): Uint8Array {
  return seccompProgram({ arch: "x64", calls: new Map(calls), unknown: 38, ...rest });
}

const condition = (...tests: ArgumentTest[]): Condition => ({ tests, otherwise: 1 });

test("each listed number gets its own answer, and all others the default answer", () => {
  const program = filter([[0, "allow"], [1, "allow"], [3, 13], [59, "kill"], [60, "allow"]]);
  const table: [number, FilterAction][] = [
    [0, "allow"],
    [1, "allow"],
    [2, 38],
    [3, 13],
    [4, 38],
    [58, 38],
    [59, "kill"],
    [60, "allow"],
    [61, 38],
    [0x7fffffff, 38],
    [0x80000000, 38],
    [0xffffffff, 38],
  ];
  for (const [nr, verdict] of table) {
    assertStrictEquals(run(program, { nr }).action, verdict, `${nr}`);
  }
});

test("an empty list refuses everything", () => {
  const program = filter([]);
  for (const nr of [0, 1, 59, 0xffffffff]) assertStrictEquals(run(program, { nr }).action, 38);
});

test("a system call of another architecture ends the process", () => {
  const x64 = filter([[0, "allow"]]);
  const arm64 = filter([[0, "allow"]], { arch: "arm64" });
  for (const arch of ["i386", "arm", "arm64"] as const) {
    assertStrictEquals(run(x64, { nr: 0, arch }).action, "kill", arch);
  }
  for (const arch of ["i386", "arm", "x64"] as const) {
    assertStrictEquals(run(arm64, { nr: 0, arch }).action, "kill", arch);
  }
  assertStrictEquals(run(x64, { nr: 0, arch: "x64" }).action, "allow");
  assertStrictEquals(run(arm64, { nr: 0, arch: "arm64" }).action, "allow");
});

test("x32 calls, which have bit 30 set, are unknown", () => {
  const program = filter([[0, "allow"], [41, "allow"], [300, "allow"]]);
  for (const nr of [0, 41, 300]) {
    assertStrictEquals(run(program, { nr: (nr | 0x40000000) >>> 0 }).action, 38);
  }
});

test("an argument is compared by its low 32 bits, the others do not matter", () => {
  const program = filter([[41, condition({ arg: 0, oneOf: [2, 10] })]]);
  const table: [bigint, FilterAction][] = [
    [2n, "allow"],
    [10n, "allow"],
    [0x1_0000_0002n, "allow"], // the kernel uses only the low 32 bits, too
    [0n, 1],
    [1n, 1],
    [17n, 1],
    [0x2_0000_0000n, 1],
    [0xffff_ffff_ffff_ffffn, 1],
  ];
  for (const [arg, verdict] of table) {
    assertStrictEquals(run(program, { nr: 41, args: [arg] }).action, verdict, `${arg}`);
  }
  assertStrictEquals(run(program, { nr: 42, args: [2n] }).action, 38);
});

test("one complete list of tests is enough, but parts of two lists are not", () => {
  const anyOf = [
    [{ arg: 1, oneOf: [1] }, { arg: 2, oneOf: [2, 13] }],
    [{ arg: 1, oneOf: [6] }, { arg: 2, mask: 0xff, oneOf: [1] }],
    [{ arg: 1, oneOf: [7] }, { arg: 3, isNull: true as const }],
  ];
  const calls = new Map<number, FilterAction | Condition>([
    [54, { anyOf, otherwise: 92 }],
    [55, "allow"],
  ]);
  for (const arch of ["x64", "arm64"] as const) {
    const program = seccompProgram({ arch, calls, unknown: 38 });
    const of = (...args: bigint[]) => run(program, { nr: 54, args: [9n, ...args], arch }).action;
    assertStrictEquals(of(1n, 2n), "allow");
    assertStrictEquals(of(1n, 13n), "allow");
    assertStrictEquals(of(1n, 1n), 92);
    assertStrictEquals(of(6n, 0x301n), "allow");
    assertStrictEquals(of(6n, 2n), 92);
    assertStrictEquals(of(7n, 5n, 0n), "allow");
    assertStrictEquals(of(7n, 5n, 1n << 32n), 92);
    assertStrictEquals(of(0n, 2n), 92);
    assertStrictEquals(run(program, { nr: 55, arch }).action, "allow");
  }
});

test("bits outside the mask are ignored", () => {
  const program = filter([[2, condition({ arg: 1, mask: 0x243, oneOf: [0] })]]);
  const table: [bigint, FilterAction][] = [
    [0n, "allow"],
    [0x80000n, "allow"],
    [0xfffffdbcn, "allow"],
    [1n, 1],
    [2n, 1],
    [0x40n, 1],
    [0x200n, 1],
    [0x80241n, 1],
  ];
  for (const [flags, verdict] of table) {
    assertStrictEquals(run(program, { nr: 2, args: [7n, flags] }).action, verdict, `${flags}`);
  }
});

test("all 64 bits of a forbidden pointer are compared", () => {
  const program = filter([[302, condition({ arg: 2, isNull: true })]]);
  const of = (pointer: bigint) => run(program, { nr: 302, args: [0n, 7n, pointer] }).action;
  assertStrictEquals(of(0n), "allow");
  for (const pointer of [1n, 0x1_0000_0000n, 0x7fff_0000_0000n, 0xffff_ffff_ffff_ffffn]) {
    assertStrictEquals(of(pointer), 1, `${pointer}`);
  }
});

test("all conditions must hold, each with one of its values", () => {
  const program = filter([[
    41,
    condition(
      { arg: 0, oneOf: [2, 10] },
      { arg: 1, mask: 0xf, oneOf: [1, 2] },
      { arg: 5, isNull: true },
      { arg: 2, oneOf: [0, 6, 17] },
    ),
  ]]);
  for (const family of [1n, 2n, 10n, 16n]) {
    for (const type of [0n, 1n, 2n, 3n, 0x80001n, 0x80003n]) {
      for (const protocol of [0n, 6n, 17n, 132n, 262n]) {
        for (const last of [0n, 1n << 32n]) {
          const good = (family === 2n || family === 10n) && [1n, 2n].includes(type & 0xfn) &&
            [0n, 6n, 17n].includes(protocol) && last === 0n;
          const args = [family, type, protocol, 9n, 9n, last];
          const { action: verdict } = run(program, { nr: 41, args });
          assertStrictEquals(verdict, good ? "allow" : 1, String(args));
        }
      }
    }
  }
});

test("jumps longer than 8 bits work", () => {
  const calls = Array.from({ length: 500 }, (_, i) =>
    [
      2 * i,
      i % 3 === 0 ? "allow" : i % 3 === 1 ? i + 1 : condition({ arg: i % 6, oneOf: [i, i + 1] }),
    ] as const);
  const program = filter(calls);
  assert(program.length / 8 > 4 * 256);
  calls.forEach(([nr, rule], i) => {
    if (typeof rule !== "object") return assertStrictEquals(run(program, { nr }).action, rule);
    const args = new Array<bigint>(6).fill(0xfffffn);
    assertStrictEquals(run(program, { nr, args }).action, 1);
    args[i % 6] = BigInt(i + 1);
    return assertStrictEquals(run(program, { nr, args }).action, "allow");
  });
  for (let nr = 1; nr < 1000; nr += 2) assertStrictEquals(run(program, { nr }).action, 38);
});

test("the number of steps grows with the logarithm of the list", () => {
  const program = filter(Array.from({ length: 256 }, (_, i) => [2 * i, "allow"] as const));
  for (let nr = 0; nr < 512; nr++) assert(run(program, { nr }).steps <= 3 + 2 * 10 + 1);
});

test("a policy that cannot be compiled is refused", () => {
  const refuses = (pattern: RegExp, calls: [number, FilterAction | Condition][]) =>
    assertThrows(() => filter(calls), RangeError, pattern);
  refuses(/4096 is not an error number/, [[1, 4096]]);
  refuses(/0 is not an error number/, [[1, 0]]);
  refuses(/-1 is not a system call/, [[-1, "allow"]]);
  refuses(/is not a system call/, [[0x40000000, "allow"]]);
  refuses(/no argument 6/, [[1, condition({ arg: 6, oneOf: [1] })]]);
  refuses(/a test with 0 values/, [[1, condition({ arg: 0, oneOf: [] })]]);
  refuses(/a test with 256 values/, [[
    1,
    condition({ arg: 0, oneOf: Array.from({ length: 256 }, (_, i) => i) }),
  ]]);
  refuses(/instructions/, Array.from({ length: 2100 }, (_, i) => [2 * i, "allow"]));
});
