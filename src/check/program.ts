/** `--check`: the program is there, the user of -u may run it, and the kernel will know how. */

import fs from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { latin1 } from "../codec/bytes.ts";
import { systemReason } from "../files.ts";
import { openRegular } from "../regular_file.ts";
import { obstacle, type Who } from "./access.ts";
import type { Findings } from "./finding.ts";

/** The first line of a script the kernel reads, at most (execve(2)). */
const MAX_LINE = 256;

/** Looks at the program, and at the interpreter of a script. `path` is $PATH. */
export function checkProgram(name: string, path: string, who: Who, findings: Findings): void {
  const file = find(name, path);
  if (file === undefined) {
    findings.error(`program ${name}: not found in PATH`, "install it, or give its full path");
    return;
  }
  const problem = unusable(file, who);
  if (problem) {
    const remedy = /execute/.test(problem)
      ? `chmod a+x ${file}, or give it to the group of -g`
      : /enter/.test(problem)
      ? "chmod a+x the folder, or move the program"
      : "give the path of a program";
    findings.error(`program ${file}: ${problem}`, remedy);
    return;
  }
  const begin = beginning(file);
  if (begin === undefined) {
    findings.ok(`program ${file}: executable`);
    return;
  }
  if (begin.startsWith("#!")) checkScript(file, begin.split("\n")[0] ?? "", path, who, findings);
  else if (process.platform === "linux" && !begin.startsWith("\x7fELF")) {
    findings.error(
      `program ${file}: neither an executable of this system nor a script with #!`,
      "let its first line name the interpreter: #!/bin/sh",
    );
  } else findings.ok(`program ${file}: executable`);
}

function checkScript(
  file: string,
  line: string,
  path: string,
  who: Who,
  findings: Findings,
): void {
  if (line.endsWith("\r")) {
    findings.error(
      `program ${file}: its lines end with CR, so no interpreter is found`,
      `sed -i 's/\\r$//' ${file}`,
    );
    return;
  }
  const hidden = obstacle(file, who, "read");
  if (hidden) {
    findings.error(`program ${file}: ${hidden}, as its interpreter must`, `chmod a+r ${file}`);
    return;
  }
  const [interpreter = "", ...words] = line.slice(2).trim().split(/[ \t]+/);
  const named = /\/env$/.test(interpreter) ? words.find((word) => !/^-|=/.test(word)) : undefined;
  for (const name of [interpreter, ...(named === undefined ? [] : [named])]) {
    const found = find(name, path);
    const why = found === undefined ? "not found in PATH" : unusable(found, who);
    if (why === undefined) continue;
    findings.error(
      `program ${file}: its interpreter ${name || "#!"}: ${why}`,
      "install it, or correct the first line of the script",
    );
    return;
  }
  findings.ok(`program ${file}: executable, by ${line.slice(2).trim()}`);
}

function find(name: string, path: string): string | undefined {
  if (name.includes("/")) return name;
  return path.split(delimiter).map((folder) => join(folder, name)).find(isFile);
}

function isFile(file: string): boolean {
  try {
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function unusable(file: string, who: Who): string | undefined {
  try {
    if (!fs.statSync(file).isFile()) return "no regular file";
    return obstacle(file, who, "execute");
  } catch (error) {
    return systemReason(error);
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
