/** Findings about the program: whether it exists, the user of -u may run it, and the kernel can
 *  execute it. */

import fs from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { latin1 } from "../codec/bytes.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { openRegular } from "../files/regular_file.ts";
import { obstacle, type ProcessUser } from "./access.ts";
import type { Findings } from "./finding.ts";

/** Maximum bytes of a script's first line that the kernel reads (execve(2)). */
const MAX_LINE = 256;

/** Checks the program, and the interpreter of a script. `path` is $PATH. A problem does not stop a
 *  start if a change of the file or its mode can solve it while the server runs. */
export function checkProgram(
  name: string,
  path: string,
  who: ProcessUser,
  findings: Findings,
): void {
  const option = name.startsWith("-");
  const first = `options come before host and port: sslserver ${name} host port prog`;
  if (!name.isWellFormed()) {
    return findings.ok(`program ${name}: not checked, because its name is not UTF-8`);
  }
  const file = find(name, path);
  if (file === undefined) {
    const remedy = option ? first : "install it, or give its full path";
    return findings.error(`program ${name}: not found in PATH`, remedy);
  }
  if (option) findings.warning(`program ${name}: it looks like an option`, first);
  const problem = unusable(file, who);
  if (problem?.forGood) return findings.error(`program ${file}: ${problem.why}`, REPLACE);
  if (problem) return findings.tolerable(`program ${file}: ${problem.why}`, allow(problem, file));
  const begin = beginning(file);
  if (begin === undefined) {
    findings.ok(`program ${file}: executable`);
    return;
  }
  if (begin.startsWith("#!")) checkScript(file, begin.split("\n")[0] ?? "", path, who, findings);
  else if (process.platform === "linux" && !begin.startsWith("\x7fELF")) {
    // Not fatal: binfmt_misc(5) may know more formats.
    findings.tolerable(
      `program ${file}: neither an executable of this system nor a script with #!`,
      "let its first line name the interpreter: #!/bin/sh",
    );
  } else findings.ok(`program ${file}: executable`);
}

const REPLACE = "give the path of a program";

function allow({ folder }: Unusable, file: string): string {
  return folder
    ? "chmod a+x the folder, or move the program"
    : `chmod a+x ${file}, or give it to the group of -g`;
}

function checkScript(
  file: string,
  line: string,
  path: string,
  who: ProcessUser,
  findings: Findings,
): void {
  if (line.endsWith("\r")) {
    findings.error(
      `program ${file}: its lines end with CR, so no interpreter is found`,
      `sed -i 's/\\r$//' ${file}`,
    );
    return;
  }
  const hidden = obstacle(file, who, "read")?.text;
  if (hidden) {
    findings.tolerable(`program ${file}: ${hidden}, as its interpreter must`, `chmod a+r ${file}`);
    return;
  }
  const [interpreter = "", ...words] = line.slice(2).trim().split(/[ \t]+/);
  const named = /\/env$/.test(interpreter) ? words.find((word) => !/^-|=/.test(word)) : undefined;
  for (const name of [interpreter, ...(named === undefined ? [] : [named])]) {
    const found = find(name, path);
    const problem = found === undefined
      ? { why: "not found in PATH", forGood: true }
      : unusable(found, who);
    if (problem === undefined) continue;
    const text = `program ${file}: its interpreter ${name || "#!"}: ${problem.why}`;
    const remedy = "install it, or correct the first line of the script";
    if (problem.forGood) findings.error(text, remedy);
    else findings.tolerable(text, remedy);
    return;
  }
  findings.ok(`program ${file}: executable, by ${line.slice(2).trim()}`);
}

function find(name: string, path: string): string | undefined {
  if (name.includes("/")) return name;
  return path.split(delimiter).map((folder) => join(folder, name)).find(mayBe);
}

/** False if the system says that there is no such file. True in a folder that cannot be searched,
 *  because the file may be there. */
function mayBe(file: string): boolean {
  try {
    return fs.statSync(file).isFile();
  } catch (error) {
    return !isMissing(error);
  }
}

function isMissing(error: unknown): boolean {
  const { code = "" } = error as { code?: string };
  return ["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"].includes(code);
}

interface Unusable {
  readonly why: string;
  /** True if the program does not exist, or if the file cannot be a program. */
  readonly forGood: boolean;
  /** See `Obstacle`. */
  readonly folder?: boolean;
}

function unusable(file: string, who: ProcessUser): Unusable | undefined {
  try {
    if (!fs.statSync(file).isFile()) return { why: "not a regular file", forGood: true };
    const found = obstacle(file, who, "execute");
    return found && { why: found.text, forGood: false, folder: found.folder };
  } catch (error) {
    return { why: systemReason(error), forGood: isMissing(error) };
  }
}

/** Returns the first bytes; undefined if the file cannot be read. That only matters for scripts. */
function beginning(file: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openRegular(file);
    const bytes = new Uint8Array(MAX_LINE);
    return latin1(bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0)));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
