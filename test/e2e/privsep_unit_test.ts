/** The filter of system calls in examples/systemd lets workers set up their own restrictions. */

import { assert, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import process from "node:process";
import { seccompProgram } from "../../src/codec/bpf.ts";
import { syscallNumbers } from "../../src/privsep/syscalls.ts";
import { environmentOf, selfSigned } from "./certificates.ts";
import { ROOT, type Trial } from "./harness.ts";
import { AS_PROGRAM, asRoot, guest, jailed, locked, workerOf } from "./privsep.ts";

const EPERM = 1; // SystemCallErrorNumber= of the unit

/** Installs a filter, given in hexadecimal, and executes the rest of its arguments. */
const CONFINE = `
import ctypes, os, struct, sys
program = bytes.fromhex(sys.argv[1])
code = ctypes.create_string_buffer(program)
head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, head, 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** The system calls of a group, including those of nested groups. */
async function group(t: Trial, name: string): Promise<string[]> {
  const { stdout, status } = await t.run("systemd-analyze", ["syscall-filter", name]);
  assertStrictEquals(status, 0, name);
  const lines = new TextDecoder().decode(stdout).split("\n").slice(1).map((line) => line.trim());
  const words = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const found = await Promise.all(
    words.map((word) => word.startsWith("@") ? group(t, word) : [word]),
  );
  return found.flat();
}

/** The filter that systemd would make from SystemCallFilter= of the unit. */
async function unitFilter(t: Trial): Promise<Uint8Array> {
  const unit = fs.readFileSync(join(ROOT, "examples/systemd/imaps.service"), "utf8");
  const listed = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].flatMap(([, words = ""]) =>
    words.split(" ")
  );
  assert(listed.length > 0, "examples/systemd/imaps.service has no SystemCallFilter=");
  const names = await Promise.all(
    ["@default", ...listed].map((word) => word.startsWith("@") ? group(t, word) : [word]),
  );
  const arch = process.arch === "arm64" ? "arm64" : "x64";
  const calls = new Map(
    names.flat().flatMap((name) => {
      const number = syscallNumbers(arch).get(name);
      return number === undefined ? [] : [[number, "allow"] as const];
    }),
  );
  return seccompProgram({ arch, calls, unknown: EPERM });
}

asRoot("the unit for systemd leaves the workers every wall of theirs", async (t) => {
  const filter = await unitFilter(t);
  const hex = [...filter].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  fs.writeFileSync(join(t.dir, "confine.py"), CONFINE);
  const server = await t.start({
    options: ["-vHRl0", "--workers", "1", ...AS_PROGRAM],
    env: { ...environmentOf(locked(await selfSigned(t, "first"))), ...jailed(t) },
    program: ["sh", "-c", "echo in; exec cat"],
    prelude: `exec python3 '${join(t.dir, "confine.py")}' ${hex} "$@"`,
  });
  const client = await guest(server);
  await workerOf(server);
  assertNotMatch(server.log(), /sandbox|warning/);
  client.leave();
});
