/** Makes the environment variables that steer Bun inert in one copy of its executable.
 *
 *  A program made by `bun build --compile` still obeys variables that no flag turns off: they load
 *  code, open an inspector, write files, run `curl` from PATH, or switch the program off. Whoever
 *  can set one for a server started by root has what LD_PRELOAD would give. So the names are taken
 *  out of the executable itself, before the program is compiled into it:
 *
 *  - a NUL-delimited name gets NUL as its first byte: getenv("") finds nothing in glibc and musl.
 *    (`=` would not do: execve takes an entry "=UN_OPTIONS=…", and glibc's getenv then finds it.)
 *  - NODE_UNIQUE_ID is a string in Bun's own JavaScript: a NUL there can match no variable.
 *  - the family BUN_JSC_* is known by eight one-byte compares in machine code. The conditional
 *    branch behind the first becomes unconditional, so every variable is passed over.
 *
 *  Each place must exist exactly once, otherwise nothing is written and the exit code is 1: a Bun
 *  that has changed here is to be read again, not guessed at.
 *
 *  Usage: node tools/make_inert.mjs BUN COPY   (or `bun tools/make_inert.mjs …`) */

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const NAMES = [
  "BUN_OPTIONS", // command line in front of ours: --preload runs a file
  "BUN_BE_BUN", // the program becomes the `bun` command
  "BUN_INSPECT", // opens a debugger port
  "BUN_INSPECT_CONNECT_TO", // connects to a debugger
  "BUN_INSPECT_PRELOAD", // runs a file
  "BUN_BYTECODE_ORDER_OUT", // these three write a file
  "BUN_BYTECODE_ORDER_NAMES_OUT",
  "BUN_BYTECODE_DIGEST_OUT",
  "BUN_ENABLE_CRASH_REPORTING", // after a crash these two run `curl` from PATH
  "BUN_CRASH_REPORT_URL",
  "BUN_FEATURE_FLAG_NO_ORPHANS", // SIGKILL when the parent process ends
  "BUN_TCC_OPTIONS", // options of the C compiler behind bun:ffi
  "NODE_CHANNEL_FD", // takes over a descriptor as a message channel
];

/** With NODE_UNIQUE_ID set, node:net takes itself for a cluster worker and never listens. */
const CLUSTER = 'call(process.env, "NODE_UNIQUE_ID")';

/** @param {string} reason @returns {never} */
function fail(reason) {
  console.error(`make_inert: unable to patch ${process.argv[2] ?? "nothing"}: ${reason}`);
  process.exit(1);
}

/** The offset of the only occurrence of `pattern`; anything else ends the build.
 *  @param {Buffer} bytes @param {Buffer} pattern @param {string} what */
function only(bytes, pattern, what) {
  const at = bytes.indexOf(pattern);
  if (at < 0) fail(`${what} not found`);
  if (bytes.indexOf(pattern, at + 1) >= 0) fail(`${what} found more than once`);
  return at;
}

/** x86-64: `cmpb $c, k(%r14); jne …` for k = 0 to 7; the first `jne` (75) becomes `jmp` (EB).
 *  @param {Buffer} bytes */
function shutFamilyX64(bytes) {
  const head = Buffer.from([0x41, 0x80, 0x3e, 0x42, 0x75]); // 'B'
  const found = [];
  for (let at = bytes.indexOf(head); at >= 0; at = bytes.indexOf(head, at + 1)) {
    const next = (/** @type {number} */ k) => at + 6 + (k - 1) * 7;
    const same = [..."UN_JSC_"].every((c, i) =>
      bytes.readUInt32BE(next(i + 1)) === (0x41807e00 | (i + 1)) &&
      bytes[next(i + 1) + 4] === c.charCodeAt(0) && bytes[next(i + 1) + 5] === 0x75
    );
    if (same) found.push(at + 4);
  }
  if (found.length !== 1) fail(`BUN_JSC_ compare found ${found.length} times`);
  bytes[found[0]] = 0xeb;
}

/** AArch64: `ldrb; cmp w, #c; b.ne …` eight times; the first `b.ne` becomes `b`.
 *  @param {Buffer} bytes */
function shutFamilyArm64(bytes) {
  const isCompare = (/** @type {number} */ at, /** @type {string} */ c) =>
    ((bytes.readUInt32LE(at) & 0xfffffc1f) >>> 0) === (0x7100001f | (c.charCodeAt(0) << 10)) &&
    ((bytes.readUInt32LE(at + 4) & 0xff00001f) >>> 0) === 0x54000001;
  const found = [];
  for (let at = 0; at + 96 < bytes.length; at += 4) {
    // The byte test first: this loop sees every word of 100 MB.
    if (bytes[at + 3] !== 0x71 || !isCompare(at, "B")) continue;
    if ([..."UN_JSC_"].every((c, i) => isCompare(at + (i + 1) * 12, c))) found.push(at + 4);
  }
  if (found.length !== 1) fail(`BUN_JSC_ compare found ${found.length} times`);
  const branch = bytes.readInt32LE(found[0]);
  const words = (branch << 8) >> 13; // imm19, signed
  bytes.writeUInt32LE((0x14000000 | (words & 0x03ffffff)) >>> 0, found[0]);
}

/** @param {Buffer} bytes */
function machine(bytes) {
  if (bytes.readUInt32BE(0) === 0x7f454c46) return `elf ${bytes.readUInt16LE(18)}`;
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return `mach-o ${bytes.readUInt32LE(4) & 0xff}`;
  return "unknown";
}

const [, , from, to] = process.argv;
if (from === undefined || to === undefined) fail("usage: make_inert.mjs BUN COPY");
const bytes = readFileSync(from);
for (const name of NAMES) bytes[only(bytes, Buffer.from(`\0${name}\0`, "latin1"), name) + 1] = 0;
bytes[only(bytes, Buffer.from(CLUSTER, "latin1"), "NODE_UNIQUE_ID") + CLUSTER.indexOf("NODE")] = 0;
switch (machine(bytes)) {
  case "elf 62": // EM_X86_64
  case "mach-o 7": // CPU_TYPE_X86_64
    shutFamilyX64(bytes);
    break;
  case "elf 183": // EM_AARCH64
  case "mach-o 12": // CPU_TYPE_ARM64
    shutFamilyArm64(bytes);
    break;
  default:
    fail("neither ELF nor Mach-O for x86-64 or AArch64");
}
writeFileSync(to, bytes, { mode: 0o755 });
