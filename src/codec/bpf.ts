/** Builds system call filters for seccomp(2): classic BPF programs (struct sock_filter). Pure: no
 *  I/O. The caller decides which calls to allow.
 *
 *  The program finds the call number by binary search. For a call that is allowed with any
 *  arguments, the search consists of loads, jumps and a return. The kernel (5.11 and later)
 *  recognizes this when the filter is set, and does not run the program for that call. */

/** What the filter does: allow the call, kill the process, or fail the call with this errno. */
export type FilterAction = "allow" | "kill" | number;

/** A condition on an argument, 0 to 5. `oneOf`: the low 32 bits, after `& mask`, equal one of these
 *  values; for arguments of type int or unsigned, of which the kernel uses no other bits. `isNull`:
 *  all 64 bits are 0, as in a null pointer. */
export type ArgumentTest =
  | { readonly arg: number; readonly mask?: number; readonly oneOf: readonly number[] }
  | { readonly arg: number; readonly isNull: true };

/** Allows the call if every test holds; with `anyOf`, if every test of one list holds. */
export type Condition =
  | { readonly tests: readonly ArgumentTest[]; readonly otherwise: FilterAction }
  | { readonly anyOf: readonly (readonly ArgumentTest[])[]; readonly otherwise: FilterAction };

/** A filter. `calls` maps call numbers to rules; `unknown` applies to every other number. */
export interface FilterPolicy {
  readonly arch: "x64" | "arm64";
  readonly calls: ReadonlyMap<number, FilterAction | Condition>;
  readonly unknown: FilterAction;
}

/** struct sock_filter: operation, jumps if true and if false, operand. */
type Instruction = readonly [code: number, jt: number, jf: number, k: number];

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64, linux/audit.h. */
const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;

/** Offsets in struct seccomp_data, in bytes. Arguments are 64 bits wide, little-endian. */
const NR = 0;
const ARCH = 4;
const ARGS = 16;

/** Longest program that the kernel accepts (BPF_MAXINSNS). */
const MAX_INSTRUCTIONS = 4096;

const MAX_ERRNO = 4095;

const load = (offset: number): Instruction => [0x20, 0, 0, offset]; // LD | W | ABS
const and = (mask: number): Instruction => [0x54, 0, 0, mask]; // ALU | AND | K
const jump = (by: number): Instruction => [0x05, 0, 0, by]; // JMP | JA
const ifEqual = (k: number, jt: number, jf: number): Instruction => [0x15, jt, jf, k];
const ifNotBelow = (k: number, jt: number, jf: number): Instruction => [0x35, jt, jf, k];

/** Longest conditional jump: its distance has 8 bits. */
const MAX_JUMP = 255;

/** SECCOMP_RET_ALLOW, _KILL_PROCESS, _ERRNO. */
function answer(action: FilterAction): Instruction {
  if (action === "allow") return [0x06, 0, 0, 0x7fff0000];
  if (action === "kill") return [0x06, 0, 0, 0x80000000];
  if (!Number.isInteger(action) || action < 1 || action > MAX_ERRNO) {
    throw new RangeError(`unable to build a filter: ${action} is not an error number`);
  }
  return [0x06, 0, 0, 0x00050000 | action];
}

/** Code for one test. `no` is the last instruction: it runs if the test fails, and is skipped if
 *  the test holds. */
function check(test: ArgumentTest, no: Instruction): Instruction[] {
  if (!Number.isInteger(test.arg) || test.arg < 0 || test.arg > 5) {
    throw new RangeError(`unable to build a filter: there is no argument ${test.arg}`);
  }
  const low = ARGS + 8 * test.arg;
  if ("isNull" in test) {
    return [load(low), ifEqual(0, 0, 2), load(low + 4), ifEqual(0, 1, 0), no];
  }
  const count = test.oneOf.length;
  if (count === 0 || count > MAX_JUMP) {
    throw new RangeError(`unable to build a filter: a test with ${count} values`);
  }
  return [
    load(low),
    ...(test.mask === undefined ? [] : [and(test.mask)]),
    ...test.oneOf.map((value, i) => ifEqual(value, count - i, 0)), // past `no`
    no,
  ];
}

function leaf(rule: FilterAction | Condition): Instruction[] {
  if (typeof rule !== "object") return [answer(rule)];
  const no = answer(rule.otherwise);
  if ("anyOf" in rule) return [...rule.anyOf.flatMap(alternative), no];
  return [...rule.tests.flatMap((test) => check(test, no)), answer("allow")];
}

/** Code for one list of tests: allows the call, or jumps past its own end if a test fails. */
function alternative(tests: readonly ArgumentTest[]): Instruction[] {
  let code = [answer("allow")];
  for (const test of [...tests].reverse()) code = [...check(test, jump(code.length)), ...code];
  return code;
}

/** The rule for the call numbers from `from` up to the start of the next range. */
interface Range {
  readonly from: number;
  readonly rule: FilterAction | Condition;
}

function rangesOf({ calls, unknown }: FilterPolicy): Range[] {
  const ranges: Range[] = [];
  const begin = (from: number, rule: FilterAction | Condition) => {
    if (ranges.at(-1)?.rule !== rule) ranges.push({ from, rule });
  };
  let next = 0;
  for (const nr of [...calls.keys()].sort((a, b) => a - b)) {
    if (!Number.isInteger(nr) || nr < 0 || nr > 0x3fffffff) {
      throw new RangeError(`unable to build a filter: ${nr} is not a system call`);
    }
    if (nr > next) begin(next, unknown);
    begin(nr, calls.get(nr) ?? unknown);
    next = nr + 1;
  }
  begin(next, unknown);
  return ranges;
}

/** Code for the binary search. Each part ends in a return and jumps only forward, so parts can be
 *  concatenated. */
function search(ranges: readonly Range[]): Instruction[] {
  const first = ranges[0];
  if (first === undefined) return [];
  if (ranges.length === 1) return leaf(first.rule);
  const middle = ranges.length >> 1;
  const low = search(ranges.slice(0, middle));
  const high = search(ranges.slice(middle));
  const from = ranges[middle]?.from ?? 0;
  const branch = low.length <= MAX_JUMP
    ? [ifNotBelow(from, low.length, 0)]
    : [ifNotBelow(from, 0, 1), jump(low.length)];
  return [...branch, ...low, ...high];
}

/** Returns the program, 8 bytes per instruction. A call through another architecture's table
 *  (int 0x80 on x86-64, where the numbers have other meanings) kills the process. x32 calls have
 *  bit 30 set, so their numbers are unknown. Throws RangeError for a policy that cannot be
 *  encoded. */
export function seccompProgram(policy: FilterPolicy): Uint8Array<ArrayBuffer> {
  const program = [
    load(ARCH),
    ifEqual(AUDIT_ARCH[policy.arch], 1, 0),
    answer("kill"),
    load(NR),
    ...search(rangesOf(policy)),
  ];
  if (program.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`unable to build a filter: ${program.length} instructions`);
  }
  const bytes = new Uint8Array(8 * program.length);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(8 * i, code, true);
    view.setUint8(8 * i + 2, jt);
    view.setUint8(8 * i + 3, jf);
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
}
