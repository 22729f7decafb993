/** Makes the environment variables that steer Bun inert in one copy of its executable.
 *
 *  A program made by `bun build --compile` still obeys variables that no flag turns off: they load
 *  code, open an inspector, write files, run `curl` from PATH, or switch the program off. A user who
 *  can set one for a server started by root has the same power as with LD_PRELOAD. So this script
 *  removes the names from Bun's executable, before the program is compiled into it:
 *
 *  - a NUL-delimited name gets NUL as its first byte: getenv("") finds nothing in glibc and musl.
 *    (`=` would not do: execve takes an entry "=UN_OPTIONS=…", and glibc's getenv then finds it.)
 *  - NODE_UNIQUE_ID is a string in Bun's own JavaScript: a NUL there can match no variable.
 *  - machine code recognizes the family BUN_JSC_* by eight one-byte compares. The conditional branch
 *    after the first one becomes unconditional, so every variable is skipped. On Linux x64 the code
 *    that handles a variable then sets OPTIONS instead.
 *
 *  Bun also raises the soft limit of open files when it starts, so a program could not get the limit that
 *  the server was started with. On Linux the executable's import of setrlimit(2) becomes one of
 *  getrlimit(2). The server raises the limit itself.
 *
 *  Each place must exist exactly once, otherwise nothing is written and the exit code is 1. If Bun has
 *  changed here, its code must be read again.
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

/** Options of the JavaScript engine, and for each the inert name whose place its text takes. With
 *  them the engine starts no thread of its own. Otherwise it starts and ends threads at any time,
 *  and aborts if the system allows no further task (`ulimit -u`, pids.max of a cgroup). They are
 *  set in processes that have an environment. A worker has none, and keeps the engine's threads. */
const OPTIONS = [
  ["useConcurrentGC=0", "BUN_BYTECODE_DIGEST_OUT"],
  ["numberOfGCMarkers=1", "BUN_FEATURE_FLAG_NO_ORPHANS"],
  ["useConcurrentJIT=0", "BUN_ENABLE_CRASH_REPORTING"],
  ["useWarmUpMarkedBlocks=0", "BUN_BYTECODE_ORDER_NAMES_OUT"],
];

/** With NODE_UNIQUE_ID set, node:net assumes that it is in a cluster worker and never listens. */
const CLUSTER = 'call(process.env, "NODE_UNIQUE_ID")';

/** @param {string} reason @returns {never} */
function fail(reason) {
  console.error(`make_inert: unable to patch ${process.argv[2] ?? "nothing"}: ${reason}`);
  process.exit(1);
}

/** Returns the offset of the only occurrence of `pattern`. Otherwise the build ends.
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
  return found[0] - 4;
}

/** Returns the address at which the byte at `offset` of an ELF file is loaded.
 *  @param {Buffer} bytes @param {number} offset */
function addressOf(bytes, offset) {
  const [table, size, count] = [0x20, 0x36, 0x38].map((at) => bytes.readUInt16LE(at));
  for (let at = table; at < table + size * count; at += size) {
    const [from, address, length] = [0x08, 0x10, 0x20].map((k) =>
      Number(bytes.readBigUInt64LE(at + k))
    );
    const isLoaded = bytes.readUInt32LE(at) === 1; // PT_LOAD
    if (isLoaded && offset >= from && offset < from + length) return address + offset - from;
  }
  return fail(`byte ${offset} is never loaded`);
}

/** x86-64, ELF: replaces the code that handles one variable, from its first compare at `at` on. It has
 *  99 bytes, and ends its loop over r15 variables in front of `at`:
 *
 *    -21  dec %r15; je OUT; mov 0x20(%rbx),%rax; mov (%rax),%rax; mov -8(%rax,%r15,8),%r14
 *      0  eight compares, as above
 *     55  lea 8(%r14),%rdi; mov $1,%esi; call SET; test %al,%al …
 *     97  jmp -21
 *
 *  @param {Buffer} bytes @param {number} at @param {(name: string) => number} placeOf */
function setOptionsX64(bytes, at, placeOf) {
  const expect = (/** @type {number} */ offset, /** @type {string} */ hex) => {
    const want = Buffer.from(hex.replaceAll(" ", ""), "hex");
    const found = bytes.subarray(at + offset, at + offset + want.length);
    if (!found.equals(want)) fail(`the code around the BUN_JSC_ compare has changed at ${offset}`);
  };
  expect(-21, "49 ff cf 0f 84");
  expect(-12, "48 8b 43 20 48 8b 00 4e 8b 74 f8 f8");
  expect(55, "49 8d 7e 08 be 01 00 00 00 e8");
  expect(69, "84 c0 75");
  expect(97, "eb 88");
  const set = at + 69 + bytes.readInt32LE(at + 65);
  let here = at;
  for (const [text, name] of OPTIONS) {
    const place = placeOf(name);
    if (text.length >= name.length) fail(`${text} does not fit into ${name}`);
    bytes.write(`\0${text}\0`, place, "latin1");
    const distance = addressOf(bytes, place + 1) - addressOf(bytes, here) - 7;
    bytes.set([0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xbe, 1, 0, 0, 0, 0xe8], here); // lea, mov, call
    bytes.writeInt32LE(distance, here + 3);
    bytes.writeInt32LE(set - here - 17, here + 13);
    here += 17;
  }
  bytes.set([0x41, 0xbf, 1, 0, 0, 0, 0xeb, at - 21 - here - 8], here); // mov $1,%r15d; jmp -21
}

/** AArch64: `ldrb; cmp w, #c; b.ne …` eight times; the first `b.ne` becomes `b`.
 *  @param {Buffer} bytes */
function shutFamilyArm64(bytes) {
  const isCompare = (/** @type {number} */ at, /** @type {string} */ c) =>
    ((bytes.readUInt32LE(at) & 0xfffffc1f) >>> 0) === (0x7100001f | (c.charCodeAt(0) << 10)) &&
    ((bytes.readUInt32LE(at + 4) & 0xff00001f) >>> 0) === 0x54000001;
  const found = [];
  for (let at = 0; at + 96 < bytes.length; at += 4) {
    // The byte test comes first, because this loop runs for every word of 100 MB.
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

/** ELF: imports getrlimit in place of setrlimit, by a change of the name in the table of dynamic
 *  symbols' names. An import is found by its name, and both functions have the same version.
 *  @param {Buffer} bytes */
function keepFileLimit(bytes) {
  const [table, size, count] = [
    Number(bytes.readBigUInt64LE(0x28)),
    0x40,
    bytes.readUInt16LE(0x3c),
  ];
  const sections = Array.from({ length: count }, (_, i) => {
    const at = table + i * size;
    const [offset, length] = [0x18, 0x20].map((k) => Number(bytes.readBigUInt64LE(at + k)));
    const [type, link] = [4, 0x28].map((k) => bytes.readUInt32LE(at + k));
    return { type, link, offset, length };
  });
  const symbols = sections.find(({ type }) => type === 11); // SHT_DYNSYM
  const names = symbols && sections[symbols.link];
  if (!names) return fail("no table of dynamic symbols");
  const part = bytes.subarray(names.offset, names.offset + names.length);
  part.write("g", only(part, Buffer.from("\0setrlimit\0"), "setrlimit") + 1);
}

const [, , from, to] = process.argv;
if (from === undefined || to === undefined) fail("usage: make_inert.mjs BUN COPY");
const bytes = readFileSync(from);
/** @type {Map<string, number>} */
const places = new Map();
for (const name of NAMES) {
  const at = only(bytes, Buffer.from(`\0${name}\0`, "latin1"), name) + 1;
  bytes[at] = 0;
  places.set(name, at);
}
bytes[only(bytes, Buffer.from(CLUSTER, "latin1"), "NODE_UNIQUE_ID") + CLUSTER.indexOf("NODE")] = 0;
if (machine(bytes).startsWith("elf")) keepFileLimit(bytes);
switch (machine(bytes)) {
  case "elf 62": // EM_X86_64
    setOptionsX64(
      bytes,
      shutFamilyX64(bytes),
      (name) => places.get(name) ?? fail(`${name} is alive`),
    );
    break;
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
