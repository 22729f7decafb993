/** Supervisors for test/interop/handover_test.ts, and connections that stay open. A server under s6, runit
 *  or a socket of systemd is not a child of the test, so its processes are found by their environment. */

import { assert } from "@std/assert";
import { join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { connect, type TLSSocket } from "node:tls";
import { selfSigned } from "../e2e/certificates.ts";
import {
  claim,
  type Form,
  formCommand,
  isRoot,
  LIMIT,
  ROOT,
  settled,
  type Trial,
  within,
} from "../e2e/harness.ts";

const DENO = join(ROOT, "node_modules/deno/deno");

/** Throws unless the program is installed. */
export function need(program: string, debian: string): void {
  if (fs.existsSync(program)) return;
  throw new Error(`${program} is missing: install Debian's ${debian}`);
}

/** Writes `name` and the program `imapd` (with the script `text`) to bin/, and a certificate and key
 *  to mx.pem and mx.key. Only the owner can read the key. */
export async function furnish(
  t: Trial,
  text = "exec cat",
  name: "sslserver" | "s6-tlsserver" = "sslserver",
): Promise<void> {
  const bin = join(t.dir, "bin");
  fs.mkdirSync(bin);
  fs.writeFileSync(join(bin, "imapd"), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const [command = "", ...options] = formCommand(t.form, "");
  if (options.length === 0) fs.symlinkSync(command, join(bin, name));
  else {
    const words = t.form === "deno"
      ? [DENO, "run", "-A", join(ROOT, "cli.ts")]
      : [command, ...options];
    const cache = process.env["DENO_DIR"] ?? join(ROOT, "dist/.deno");
    const script = `#!/usr/bin/python3\nimport os, sys\nos.environ["DENO_DIR"] = ${
      JSON.stringify(cache)
    }\nc = ${JSON.stringify([...words, "--as", name])}\nos.execv(c[0], c + sys.argv[1:])\n`;
    fs.writeFileSync(join(bin, name), script, { mode: 0o755 });
  }
  const pair = await selfSigned(t, "server");
  fs.renameSync(pair.certificate, join(t.dir, "mx.pem"));
  fs.renameSync(pair.key, join(t.dir, "mx.key"));
  fs.chmodSync(join(t.dir, "mx.key"), 0o600);
}

/** The text of a file in examples/, with replacements for this machine. */
export function translated(t: Trial, path: string, port: number): string {
  const replace: [string | RegExp, string][] = [
    ["/etc/ssl/", `${t.dir}/`],
    ["/usr/sbin/imapd", `${t.dir}/bin/imapd`],
    ["/usr/local/bin/sslserver", `${t.dir}/bin/sslserver`],
    ["PATH=/usr/local/bin:", `PATH=${t.dir}/bin:`],
    [/\b993\b/g, String(port)],
    ["/run/imaps", `${t.dir}/jail`],
    // Without root, the user cannot be changed.
    ...isRoot ? [] : [
      ["-u 1000 -g 1000", ""],
      [/^Environment=SSL_UID.*$/m, ""],
    ] as [string | RegExp, string][],
  ];
  let text = fs.readFileSync(join(ROOT, "examples", path), "utf8");
  for (const [from, to] of replace) {
    text = typeof from === "string" ? text.replaceAll(from, to) : text.replace(from, to);
  }
  return text;
}

/** A TLS connection that stays open. */
export class Conversation {
  #text = "";
  readonly #closed: Promise<void>;

  private constructor(readonly socket: TLSSocket) {
    socket.on("data", (bytes: Uint8Array) => this.#text += new TextDecoder().decode(bytes));
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {}); // `echo` notices a connection that ends early
  }

  /** Resolves after the handshake, even if the server is not running yet. */
  static async open(port: number): Promise<Conversation> {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    const talk = new Conversation(socket);
    const secure = new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed before the handshake was done")));
    });
    await within(secure, LIMIT, "no handshake");
    return talk;
  }

  /** Asserts that `line` comes back from the program, which is `cat`. */
  async echo(line: string): Promise<void> {
    this.socket.write(line);
    await settled(() => this.#text.endsWith(line), (done) => done);
    assert(this.#text.endsWith(line), `${JSON.stringify(this.#text)} came, not ${line}`);
  }

  async end(): Promise<void> {
    this.socket.end();
    await within(this.#closed, LIMIT, "the connection did not end");
  }
}

/** For each trial, promises that resolve when no process has the log of a supervisor open. */
const logs = new WeakMap<Trial, Promise<unknown>[]>();

/** A claim in which supervisors start processes. All of them are ended with the claim. */
export function supervised(
  name: string,
  body: (t: Trial) => Promise<void>,
  forms: readonly Form[],
): void {
  claim(name, async (t) => {
    const closed: Promise<unknown>[] = [];
    logs.set(t, closed);
    try {
      await body(t);
      // Workers have no environment by which to find them, but they hold the log open.
      await within(Promise.all(closed), LIMIT, "a process is left that has the log open");
    } finally {
      for (const pid of descendants(t)) process.kill(pid, "SIGKILL");
    }
  }, { forms });
}

/** A mark for a supervisor's environment. The processes that it starts inherit the mark, unless they clear
 *  their environment. */
export const marked = (t: Trial): Record<string, string> => ({ HANDOVER_TEST: t.dir });

/** Processes that have the folder of the trial in their environment or on their command line. */
function descendants(t: Trial): number[] {
  return fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).map(Number).filter(
    (pid) => {
      try {
        const read = (file: string): string => fs.readFileSync(`/proc/${pid}/${file}`, "latin1");
        return (read("cmdline") + read("environ")).includes(t.dir);
      } catch {
        return false; // ended
      }
    },
  );
}

/** Lines that a child prints. */
export class Lines {
  readonly all: string[] = [];
  stderr = "";

  constructor(t: Trial, readonly child: ChildProcess) {
    logs.get(t)?.push(new Promise((resolve) => child.once("close", resolve)));
    let rest = "";
    child.stdout?.on("data", (bytes: Uint8Array) => {
      const parts = (rest + new TextDecoder().decode(bytes)).split("\n");
      rest = parts.pop() ?? "";
      this.all.push(...parts);
    });
    child.stderr?.on("data", (bytes: Uint8Array) => this.stderr += new TextDecoder().decode(bytes));
  }

  /** Waits for the `count`th line that matches. */
  async wait(pattern: RegExp, count = 1): Promise<string> {
    const found = (): string[] => this.all.filter((line) => pattern.test(line));
    const lines = await settled(found, (seen) => seen.length >= count);
    assert(lines.length >= count, `no ${pattern} in: ${this.all.join("\n")}\n${this.stderr}`);
    return lines[count - 1] ?? "";
  }

  say(word: string): void {
    this.child.stdin?.write(`${word}\n`);
  }
}

/** Starts a supervisor that keeps a socket on `address`. @PORT in the command is its port. */
export async function supervisor(
  t: Trial,
  address: string,
  command: readonly string[],
): Promise<{ lines: Lines; port: number }> {
  const script = join(ROOT, "test/data/supervisor.py");
  const child = t.spawn("python3", [script, address, t.dir, ...command], {
    CERTFILE: join(t.dir, "mx.pem"),
    KEYFILE: join(t.dir, "mx.key"),
    ...marked(t),
  });
  const lines = new Lines(t, child);
  const port = Number((await lines.wait(/^listening /)).slice("listening ".length));
  return { lines, port };
}

/** The command under test. */
export const server = (t: Trial): string => join(t.dir, "bin/sslserver");

/** Waits for the end of a child. Returns its exit code. */
export async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  return await within(
    new Promise<number | null>((resolve) => child.once("exit", resolve)),
    LIMIT,
    "it did not end",
  );
}

/** Sends SIGTERM and returns the exit code. Does not use `child.kill`, because Deno then reports the signal
 *  even if the child has exited by itself. */
export async function terminated(child: ChildProcess): Promise<number | null> {
  const exit = ended(child);
  process.kill(child.pid ?? 0, "SIGTERM");
  return await exit;
}
