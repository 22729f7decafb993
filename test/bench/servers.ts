/** The servers of this project that are compared: the references, ours in its forms and variants, and the
 *  bare servers that its handlers are compared with. peers.ts has those of other projects. */

import { join } from "@std/path";
import { spawnSync } from "node:child_process";
import { executable, type Form, formCommand } from "../e2e/harness.ts";
import { compileEntry, HERE, rulesFile, type Tools } from "./prepare.ts";

export interface Command {
  command: string[];
  env?: Record<string, string>;
}

export interface Subject {
  name: string;
  /** The command that starts it on 127.0.0.1. `program` is a full path and arguments without spaces. */
  at(port: number, program: readonly string[]): Command;
  /** The version that it reports. */
  version: string;
  /** True: of another project. Measured in fewer rounds. */
  peer?: boolean;
  /** True: prints its port on stdout, with -1 or always. */
  printsPort?: boolean;
  /** The command of an empty program of the same runtime, built in the same way. */
  empty?(): string[];
  /** True: compiles its code while it runs, so it is faster after thousands of connections. */
  compiles?: boolean;
  /** True: its stderr is read and dropped. Otherwise it goes to a file. */
  logs?: boolean;
}

/** The limit of programs at once for servers that have one: more than any measurement needs. */
export const MOST = 10_000;
export const BACKLOG = 1024;

/** Our server in one of its forms, with options. `handler`: options that replace the program. */
export function ours(
  tools: Tools,
  name: string,
  form: Form,
  options: readonly string[] = [],
  handler?: readonly string[],
): Subject {
  const env = { CERTFILE: tools.certificate, KEYFILE: tools.key };
  const fixed = ["-1", "-H", "-l", "localhost", "-c", String(MOST), "-b", String(BACKLOG)];
  const file = form === "binary" ? tools.binary : executable(form);
  const [command = "", ...args] = formCommand(form, "", file);
  const version = firstLine(command, ["--version"], /\w+ [\d.]+/);
  return {
    name,
    at: (port, program) => ({
      command: [
        ...formCommand(form, handler ? "" : program[0] ?? "", file),
        ...fixed,
        ...options,
        ...handler ?? [],
        "127.0.0.1",
        String(port),
        ...handler ? [] : program,
      ],
      env,
    }),
    version: form === "binary" ? version : `${version}, with ${args.find((one) => /v8/.test(one))}`,
    printsPort: true,
    compiles: true,
    empty: () =>
      form === "binary" ? [compileEntry("empty")] : [file, "run", "-A", join(HERE, "empty.ts")],
  };
}

/** The compiled file of an earlier tree, started as `now` is. */
export function earlier(now: Subject, file: string): Subject {
  return {
    ...now,
    name: "base",
    at: (port, program) => {
      const { command: [, ...args], ...rest } = now.at(port, program);
      return { ...rest, command: [file, ...args] };
    },
    version: firstLine(file, ["--version"], /\w+ [\d.]+/),
  };
}

/** The reference servers in C. The first is the one to which the ratios refer. */
export function references({ references, certificate, key }: Tools): Subject[] {
  const library = firstLine("openssl", ["version"], /OpenSSL [\d.]+/);
  return Object.entries(references).map(([name, file]) => ({
    name,
    at: (port, program) => ({ command: [file, String(port), certificate, key, ...program] }),
    version: `test/bench/${name.replace("-", "_")}.c, ${library}`,
    printsPort: true,
  }));
}

/** Variants of the compiled server, by section, those that are `chosen` by their names. The first of each
 *  section is the unchanged server. */
export function variants(
  tools: Tools,
  section: string,
  chosen: (name: string) => boolean,
): Subject[] {
  const server = tools.binary;
  const table: Record<string, () => [name: string, options: string[]][]> = {
    log: () => [["-v", ["-v"]]],
    rules: () => [
      ["-x, 10 entries", ["-x", rulesFile(server, 10)]],
      ["-x, 1000000 entries", ["-x", rulesFile(server, 1_000_000)]],
    ],
    workers: () => [["--workers 0", ["--workers", "0"]], ["--workers 2", ["--workers", "2"]]],
  };
  const made = (table[section]?.() ?? [])
    .filter(([name]) => chosen(name))
    .map(([name, options]) => ours(tools, name, "binary", options));
  for (const subject of made) subject.logs = section === "log";
  return made.length === 0 ? [] : [ours(tools, "ours", "binary"), ...made];
}

/** A bare TLS echo of a runtime, and --echo of our server in the form that uses this runtime. */
export function handlers(tools: Tools, form: "binary" | "deno"): Subject[] {
  const { certificate, key } = tools;
  const command = form === "binary"
    ? [compileEntry("bare_bun")]
    : [executable("deno"), "run", "-A", join(HERE, "bare_deno.ts")];
  const name = form === "binary" ? "Bun.listen" : "Deno.listenTls";
  const bare = {
    name,
    at: (port: number) => ({ command: [...command, String(port), certificate, key] }),
    version: `an echo in ten lines with ${name}`,
    compiles: true,
  };
  return [
    bare,
    ours(tools, form === "binary" ? "ours --echo" : "deno --echo", form, [], ["--echo"]),
  ];
}

/** The first match in what a command prints; "unknown" if there is none. */
export function firstLine(command: string, args: string[], pattern = /.+/): string {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return pattern.exec(`${stdout}${stderr}`)?.[0] ?? "unknown";
}
