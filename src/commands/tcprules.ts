/** `tcprules cdb tmp`: compiles access rules from stdin into a constant database
 *  (docs/specification.md#access-rules). It reads and compiles everything before it touches a file,
 *  then writes `tmp` and renames it to `cdb`. So a server sees either the old rules or the new
 *  ones, and a bad line changes nothing. */

import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { CdbWriter } from "../codec/cdb_write.ts";
import { latin1 } from "../codec/bytes.ts";
import { compileRule } from "../codec/rules_source.ts";
import type { ProgramEnv } from "../config/variables.ts";
import { EXIT, FatalError, reason, UsageError } from "../errors.ts";

/** What a command gets from its environment. `stdout` and `stderr` write text as it is, with its
 *  newlines. */
export interface CommandIo {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: ProgramEnv;
}

const USAGE = "tcprules cdb tmp";

const HELP = `usage: ${USAGE}

Reads access rules from standard input and compiles them into the file tmp. Then
renames tmp to cdb. Both files must be on the same file system.

A rule is a line: an address, allow or deny, and variables. For example:
  10.0.0.0/8:allow,MAXCONIP="100"
  :deny

sslserver --man tcprules describes the rules.
`;

/** Longest line, in bytes. A rule's value may have 16 KB. A file without newlines is not a rules
 *  file, and must not be read into memory without limit. */
const MAX_LINE = 65_536;

/** Maximum bytes of a bad line that a message shows. */
const SHOWN = 200;

/** Runs the command. Returns the exit code: 0; 100: wrong usage; 101: a line is wrong; 111: the
 *  system refused. In all cases except the first, the database is unchanged. */
export async function tcprules(args: readonly string[], io: CommandIo): Promise<number> {
  if (args[0] === "--help") {
    io.stdout(HELP);
    return EXIT.ok;
  }
  try {
    const [cdb, tmp, ...more] = args;
    if (!cdb || !tmp || more.length > 0) throw new UsageError(USAGE);
    // Otherwise a failure could leave half a database in place of the old one.
    if (resolve(cdb) === resolve(tmp)) {
      throw new UsageError(`${USAGE}: two different files`);
    }
    replaceFile(cdb, tmp, await compileRules(io));
    return EXIT.ok;
  } catch (thrown) {
    const usage = thrown instanceof UsageError;
    io.stderr(`tcprules: ${usage ? "usage" : "fatal"}: ${reason(thrown)}\n`);
    return thrown instanceof FatalError ? thrown.code : EXIT.system;
  }
}

async function compileRules(io: CommandIo): Promise<Uint8Array<ArrayBuffer>[]> {
  const writer = new CdbWriter();
  let number = 0;
  for await (const line of linesOf(io.stdin)) {
    number++;
    const where = () => `line ${number}: ${printable(line)}`;
    try {
      const rule = compileRule(line);
      if (!rule) continue;
      if (rule.warning) io.stderr(`tcprules: warning: ${rule.warning}: ${where()}\n`);
      for (const key of rule.keys) writer.add(key, rule.value);
    } catch (thrown) {
      throw new FatalError(`unable to parse ${where()}: ${reason(thrown)}`, EXIT.config);
    }
  }
  return writer.finish();
}

/** Yields the lines of a stream, without newlines. The last line may lack its newline. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0);
  let number = 1;
  try {
    for await (const chunk of input) {
      let start = 0;
      for (let end; (end = chunk.indexOf(10, start)) >= 0; start = end + 1, number++) {
        yield joined(rest, chunk.subarray(start, end), number);
        rest = new Uint8Array(0);
      }
      rest = joined(rest, chunk.subarray(start), number);
    }
  } catch (thrown) {
    if (thrown instanceof FatalError) throw thrown;
    throw new FatalError(`unable to read input: ${reason(thrown)}`);
  }
  if (rest.length > 0) yield rest;
}

function joined(head: Uint8Array, tail: Uint8Array, number: number): Uint8Array<ArrayBuffer> {
  if (head.length + tail.length > MAX_LINE) {
    throw new FatalError(
      `unable to parse line ${number}: longer than ${MAX_LINE} bytes`,
      EXIT.config,
    );
  }
  const line = new Uint8Array(head.length + tail.length);
  line.set(head);
  line.set(tail, head.length);
  return line;
}

/** Returns a line as a message may show it: on one line, without terminal escapes, and cut. */
function printable(line: Uint8Array): string {
  const text = latin1(line.subarray(0, SHOWN)).replace(
    /[^ -~]|\\/g,
    (c) => c === "\\" ? "\\\\" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return line.length > SHOWN ? `${text}…` : text;
}

/** Stores `parts` as `tmp`, and on the disk before it renames `tmp` to `file`. */
function replaceFile(file: string, tmp: string, parts: Uint8Array[]): void {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const fd = attempt(`create ${tmp}`, () => {
    // An existing file is removed, not opened: it may be a link to another file.
    rmSync(tmp, { force: true });
    return openSync(tmp, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  });
  try {
    attempt(`write ${tmp}`, () => {
      try {
        for (const part of parts) writeAll(fd, part);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
    attempt(`rename ${tmp} to ${file}`, () => renameSync(tmp, file));
  } catch (thrown) {
    rmSync(tmp, { force: true });
    throw thrown;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

function attempt<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw new FatalError(`unable to ${what}: ${reason(thrown)}`);
  }
}
