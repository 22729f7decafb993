/** The calls of seccomp and Landlock, against fake kernels of each version that only record the calls.
 *  test/privsep/sandbox_test.ts tests their effect in this machine's kernel. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Unsupported } from "../../../src/errors.ts";
import { SystemError } from "../../../src/runtime/libc/errno.ts";
import { makeLibc } from "../../../src/runtime/libc/libc.ts";
import { abiOf } from "../../../src/runtime/libc/abi.ts";
import { type Argument, type Memory } from "../../../src/runtime/libc/call.ts";

const SECCOMP = { x64: 317, arm64: 277 } as const;
const CREATE = 444;
const ADD = 445;
const RESTRICT = 446;

type Call = readonly [name: string, ...args: Argument[]];

/** A fake kernel: `answer` gives the result of each system call, from the memory whose address it got. */
function kernel(
  answer: (nr: number, args: number[], at: (address: number) => Memory) => number,
  { platform = "linux", arch = "x64", errno = 0 } = {},
) {
  const abi = abiOf(platform, arch);
  const calls: Call[] = [];
  const known: Memory[] = [];
  const at = (address: number): Memory => {
    const memory = known[address / 4096 - 1];
    if (memory === undefined) throw new Error(`nothing lies at ${address}`);
    return memory;
  };
  const symbols = Object.fromEntries(
    Object.keys(abi.signatures).map((name) => [name, (...args: Argument[]) => {
      calls.push([name, ...args]);
      if (name === "open") return 70;
      if (name !== "syscall") return 0;
      const [nr = 0, ...rest] = args as number[];
      return answer(nr, rest, at);
    }]),
  );
  const address = (memory: Memory) => BigInt(4096 * known.push(memory));
  return { libc: makeLibc({ abi, symbols, errno: () => errno, address }), calls };
}

const names = (calls: readonly Call[]) => calls.map(([name, first]) => `${name} ${first}`);

test("a filter is set for all threads, after new privileges have been given up", () => {
  for (const arch of ["x64", "arm64"] as const) {
    const program = Uint8Array.of(0x20, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f);
    let seen: Uint8Array | undefined;
    const { libc, calls } = kernel((_nr, [, , header = 0], at) => {
      const view = new DataView(at(header).buffer);
      assertStrictEquals(view.getUint16(0, true), 2); // number of instructions
      seen = at(Number(view.getBigUint64(8, true))).slice();
      return 0;
    }, { arch });
    libc.seccomp(program);
    assertEquals(seen, program);
    assertEquals(calls[0], ["prctl", 38, 1, 0, 0, 0]);
    assertEquals(calls[1]?.slice(0, 4), ["syscall", SECCOMP[arch], 1, 5]);
  }
});

test("a thread that could not be reached is named", () => {
  const { libc } = kernel(() => 4711);
  assertThrows(
    () => libc.seccomp(new Uint8Array(8)),
    Error,
    /thread 4711 has a filter of its own$/,
  );
});

test("a kernel without seccomp or Landlock is recognised by its errno", () => {
  const { libc } = kernel(() => -1, { errno: 38 });
  for (
    const call of [() => libc.seccomp(new Uint8Array(8)), () => libc.landlock({ readBelow: [] })]
  ) {
    const error = assertThrows(call, SystemError);
    assertStrictEquals(error.code, "ENOSYS");
  }
});

test("seccomp and Landlock are refused outside Linux", () => {
  const { libc, calls } = kernel(() => 0, { platform: "darwin", arch: "arm64" });
  assertThrows(() => libc.seccomp(new Uint8Array(8)), Unsupported);
  assertThrows(() => libc.landlock({ readBelow: [] }), Unsupported);
  assertEquals(calls, []);
});

test("Landlock handles every right to files that its version knows, and from 8 on all threads", () => {
  const table: [abi: number, rights: bigint, flags: number, scopes: bigint, alike: bigint][] = [
    [1, 0x1fffn, 0, 0n, 0n],
    [2, 0x3fffn, 0, 0n, 0n],
    [3, 0x7fffn, 0, 0n, 0n],
    [4, 0x7fffn, 0, 0n, 0n],
    [5, 0xffffn, 0, 0n, 0n],
    [6, 0xffffn, 0, 1n, 3n],
    [7, 0xffffn, 0, 1n, 3n],
    [8, 0xffffn, 8, 3n, 3n],
    [12, 0xffffn, 8, 3n, 3n],
  ];
  for (const [abi, rights, wanted, scopes, alike] of table) {
    let handled = 0n;
    let scoped = 0n;
    let flags = -1;
    const { libc, calls } = kernel((nr, [first = 0, second = 0, third = 0], at) => {
      if (nr === CREATE && third === 1) return abi;
      if (nr === CREATE) {
        assertStrictEquals(second, abi >= 6 ? 24 : 8);
        const view = new DataView(at(first).buffer);
        handled = view.getBigUint64(0, true);
        scoped = second > 8 ? view.getBigUint64(16, true) : 0n;
        return 60;
      }
      assertEquals([nr, first], [RESTRICT, 60]);
      flags = second;
      return 0;
    });
    assertEquals(libc.landlock({ readBelow: [] }), {
      abi,
      threads: abi >= 8 ? "all" : "calling",
    });
    assertEquals([handled, flags, scoped], [rights, wanted, scopes], `version ${abi}`);
    assertEquals(names(calls).slice(-3), ["prctl 38", `syscall ${RESTRICT}`, "close 60"]);
    libc.landlock({ readBelow: [], execute: true });
    assertStrictEquals(scoped, alike, `version ${abi}, before exec`);
    assertStrictEquals(libc.landlockVersion(), abi);
  }
  assertStrictEquals(kernel(() => -1, { errno: 38 }).libc.landlockVersion(), 0);
  assertStrictEquals(kernel(() => 1, { platform: "darwin" }).libc.landlockVersion(), 0);
});

test("below the folders named, files and folders may be read, no more", () => {
  const rules: (readonly [number, bigint, number])[] = [];
  const { libc, calls } = kernel((nr, [first = 0, second = 0, third = 0], at) => {
    if (nr === CREATE) return third === 1 ? 7 : 60;
    if (nr === RESTRICT) return 0;
    assertStrictEquals(nr, ADD);
    const view = new DataView(at(third).buffer);
    assertStrictEquals(view.byteLength, 12);
    rules.push([second, view.getBigUint64(0, true), view.getInt32(8, true)]);
    return first === 60 ? 0 : -1;
  });
  libc.landlock({ readBelow: ["/etc/ssl", "/srv"] });
  assertEquals(rules, [[1, 0xcn, 70], [1, 0xcn, 70]]);
  libc.landlock({ readBelow: ["/"], execute: true });
  assertEquals(rules[2], [1, 0xdn, 70]);
  assertStrictEquals(names(calls).filter((name) => name === "close 70").length, 3);
});

test("a failed call leaves no descriptor", () => {
  const { libc, calls } = kernel((nr, [, , third]) => nr === CREATE ? (third === 1 ? 7 : 60) : -1, {
    errno: 22,
  });
  assertThrows(
    () => libc.landlock({ readBelow: ["/"] }),
    Error,
    /syscall: invalid argument \(EINVAL\)/,
  );
  assertEquals(names(calls).slice(-2), ["close 70", "close 60"]);
});
