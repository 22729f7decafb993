/** Makes what the measurements need: the C tools, a certificate, rules, the server. All of it is in
 *  dist/.bench, which can be removed at any time. */

import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { found, ROOT } from "../e2e/harness.ts";

export const HERE = join(ROOT, "test/bench");
const WORK = join(ROOT, "dist/.bench");

export interface Tools {
  /** The load generator, load.c. */
  load: string;
  /** The reference servers, ref_epoll.c and ref_fork.c, by name. */
  references: Record<string, string>;
  /** Our compiled server. */
  binary: string;
  /** The parts of a connection alone, floor.c. */
  floor: string;
  /** The tool that measures starts, start.c. */
  start: string;
  /** A self-signed P-256 certificate for localhost, and its key. */
  certificate: string;
  key: string;
  /** A folder for files of one run. */
  scratch: string;
}

/** Builds what is missing or older than its source, and the server unless `binary` is given. */
export function prepare(binary?: string): Tools {
  fs.mkdirSync(WORK, { recursive: true });
  if (binary === undefined) {
    execFileSync(join(ROOT, "compile.sh"), { stdio: ["ignore", "ignore", "inherit"] });
  }
  const certificate = join(WORK, "certificate.pem");
  const key = join(WORK, "key.pem");
  make(certificate, () => {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const files = ["-keyout", key, "-out", certificate, "-days", "3650"];
    const args = ["req", "-x509", ...curve, ...subject, ...files];
    execFileSync(found("openssl"), args, { stdio: ["ignore", "ignore", "pipe"] });
  });
  return {
    load: compile("load"),
    references: { "ref-epoll": compile("ref_epoll"), "ref-fork": compile("ref_fork") },
    binary: binary === undefined ? join(ROOT, "dist/sslserver") : fs.realpathSync(binary),
    floor: compile("floor"),
    start: compile("start"),
    certificate,
    key,
    scratch: fs.mkdtempSync(join(WORK, "run-")),
  };
}

/** Makes a compiled rules file that allows 127.0.0.1 and has `count` entries. */
export function rulesFile(server: string, count: number): string {
  const file = join(WORK, `rules-${count}.cdb`);
  make(file, () => {
    const lines = ["127.0.0.1:allow"];
    for (let i = 1; i < count; i++) {
      lines.push(`10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:deny`);
    }
    const tcprules = join(WORK, "tcprules");
    fs.rmSync(tcprules, { force: true });
    fs.symlinkSync(server, tcprules); // the executable chooses its command by its name
    execFileSync(tcprules, [file, `${file}.new`], { input: lines.join("\n") + "\n" });
  });
  return file;
}

/** Builds a program of this folder as compile.sh builds the server. Returns the compiled file. */
export function compileEntry(name: string): string {
  const folder = join(WORK, name);
  const source = join(HERE, `${name}.ts`);
  const built = join(folder, "sslserver"); // the name that compile.sh gives it
  make(built, () => {
    // compile.sh copies the sources of the server, and looks for all entries below this tree in the copy.
    const outside = fs.mkdtempSync(join(tmpdir(), "sslserver-bench-"));
    try {
      const entry = join(outside, `${name}.ts`);
      fs.copyFileSync(source, entry);
      const env = { ...process.env, ENTRY: entry, DIST: folder };
      execFileSync(join(ROOT, "compile.sh"), { stdio: ["ignore", "ignore", "inherit"], env });
    } finally {
      fs.rmSync(outside, { recursive: true });
    }
  }, source);
  return built;
}

function compile(name: string): string {
  const built = join(WORK, name);
  const source = join(HERE, `${name}.c`);
  make(built, () => {
    const args = ["-O2", "-Wall", "-Wextra", "-o", built, source, "-lssl", "-lcrypto"];
    try {
      execFileSync(found("gcc"), args, { stdio: ["ignore", "ignore", "pipe"] });
    } catch (error) {
      throw new Error(`unable to compile ${name}.c (Debian: gcc libc6-dev libssl-dev): ${error}`);
    }
  }, source);
  return built;
}

/** Makes `file` unless it exists and is not older than `source`. */
function make(file: string, how: () => void, source?: string): void {
  const age = (path: string): number => fs.statSync(path).mtimeMs;
  if (fs.existsSync(file) && (source === undefined || age(file) > age(source))) return;
  how();
}
