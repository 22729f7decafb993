/** Findings about the program: it is there, the user of -u may run it, and the kernel will know how. */

import fs from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { latin1 } from "../codec/bytes.ts";
import { systemReason } from "../files/files.ts";
import { openRegular } from "../files/regular_file.ts";
import { obstacle, type ProcessUser } from "./access.ts";
import type { Findings } from "./finding.ts";

/** The first line of a script the kernel reads, at most (execve(2)). */
const MAX_LINE = 256;

/** Looks at the program, and at the interpreter of a script. `path` is $PATH. What a change of mode, or of
 *  the file, can mend while the server runs does not stop a start. */
export function checkProgram(
  name: string,
  path: string,
  who: ProcessUser,
  findings: Findings,
): void {
  const option = name.startsWith("-");
  const first = `options come before host and port: sslserver ${name} host port prog`;
  if (!name.isWellFormed()) return findings.ok(`program ${name}: not UTF-8, and not examined`);
  const file = find(name, path);
  if (file === undefined) {
    const remedy = option ? first : "install it, or give its full path";
    return findings.error(`program ${name}: not found in PATH`, remedy);
  }
  if (option) findings.warning(`program ${name}: it looks like an option`, first);
  const problem = unusable(file, who);
  if (problem?.forGood) return findings.error(`program ${file}: ${problem.why}`, REPLACE);
  if (problem) return findings.passing(`program ${file}: ${problem.why}`, allow(problem, file));
  const begin = beginning(file);
  if (begin === undefined) {
    findings.ok(`program ${file}: executable`);
    return;
  }
  if (begin.startsWith("#!")) checkScript(file, begin.split("\n")[0] ?? "", path, who, findings);
  else if (process.platform === "linux" && !begin.startsWith("\x7fELF")) {
    // binfmt_misc(5) may know more formats.
    findings.passing(
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
    findings.passing(`program ${file}: ${hidden}, as its interpreter must`, `chmod a+r ${file}`);
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
    else findings.passing(text, remedy);
    return;
  }
  findings.ok(`program ${file}: executable, by ${line.slice(2).trim()}`);
}

function find(name: string, path: string): string | undefined {
  if (name.includes("/")) return name;
  return path.split(delimiter).map((folder) => join(folder, name)).find(mayBe);
}

/** False when the system says that there is no such file; a folder that cannot be searched may hold it. */
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
  /** There is no such program, or it cannot be one. */
  readonly forGood: boolean;
  /** See `Obstacle`. */
  readonly folder?: boolean;
}

function unusable(file: string, who: ProcessUser): Unusable | undefined {
  try {
    if (!fs.statSync(file).isFile()) return { why: "no regular file", forGood: true };
    const found = obstacle(file, who, "execute");
    return found && { why: found.text, forGood: false, folder: found.folder };
  } catch (error) {
    return { why: systemReason(error), forGood: isMissing(error) };
  }
}

/** Undefined: it can be executed and not read, which is good enough for all but scripts. */
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
