/** Runs the commands that README, MIGRATION and the manual pages show. Only what depends on the machine
 *  is replaced: ports, paths, users. A block without an entry in the table of its test fails, so every
 *  command shown is tested. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { openssl, selfSigned } from "./certificates.ts";
import { freePort } from "../free_port.ts";
import { part } from "../part.ts";
import { talk } from "./clients.ts";
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
} from "./harness.ts";

/** How a block is tested. */
export interface Entry {
  /** The first line of the block. */
  first: string;
  /** Texts of the block and their replacements. In a replacement, `@PORT` becomes a free port, and `@UID`
   *  the user who runs the test. */
  replace?: readonly (readonly [string, string])[];
  /** Stand-ins for programs that the block names and this machine lacks: name and shell text. */
  programs?: Readonly<Record<string, string>>;
  /** Runs before the block, with the block's port. */
  before?: (t: Trial, port: number) => Promise<unknown>;
  /** Default: both. */
  forms?: readonly Form[];
  /** The time limit in milliseconds; default 60,000. */
  limit?: number;
  /** For a block that ends: checks its output and exit code. */
  ends?: (t: Trial, outcome: Ended) => void | Promise<void>;
  /** For a block that serves until it is stopped: talks to the port. */
  serves?: (t: Trial, port: number) => Promise<void>;
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

const BOTH: readonly Form[] = ["binary", "deno"];

/** The blocks in fences of a Markdown file, by default those of a shell. */
export function fenced(file: string, language = "sh"): string[] {
  const text = fs.readFileSync(join(ROOT, file), "utf8");
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm");
  return [...text.matchAll(fence)].map((match) => match[1] ?? "");
}

/** The literal displays of a page's EXAMPLES. */
export function examples(page: string): string[] {
  const text = fs.readFileSync(join(ROOT, "man", page), "utf8");
  const section = part(text, /^\.Sh EXAMPLES\n([\s\S]*?)^\.Sh /m, page);
  return [...section.matchAll(/^\.Bd -literal.*\n([\s\S]*?)^\.Ed$/gm)]
    .map((match) => (match[1] ?? "").replaceAll("\\&", "").replaceAll("\\e", "\\"));
}

/** Makes one claim for each block of `name`, and one that blocks and entries match. */
export function tryBlocks(
  name: string,
  blocks: readonly string[],
  entries: readonly Entry[],
): void {
  const firsts = blocks.map((block) => block.split("\n")[0] ?? "");
  test(`${name}: every command shown has an entry here, and the other way round`, () => {
    assertEquals(firsts, entries.map(({ first }) => first));
  });
  entries.forEach((entry, i) => {
    const block = blocks[i];
    const forms = (entry.forms ?? BOTH).filter((form) => BOTH.includes(form));
    const timeout = 60_000 + (entry.limit ?? 60_000);
    claim(`${name}: ${entry.first}`, async (t) => {
      assert(block && firsts[i] === entry.first, `block ${i + 1} of ${name} is not this one`);
      await tryBlock(t, block, entry);
    }, { forms, timeout });
  });
}

async function tryBlock(t: Trial, block: string, entry: Entry): Promise<void> {
  const port = await freePort();
  await furnish(t, entry.programs ?? {});
  await entry.before?.(t, port);
  const child = t.spawn("setsid", ["sh", "-c", translated(block, entry, port)], {
    PATH: `${join(t.dir, "bin")}:${dirname(DENO)}:/usr/bin:/bin:/usr/sbin:/sbin`,
    HOME: t.dir,
  });
  const ended = outcomeOf(child);
  child.stdin?.end();
  try {
    if (entry.ends) {
      await entry.ends(t, await within(ended, entry.limit ?? LIMIT * 3, "it did not end"));
    } else {
      await listening(port, child);
      await entry.serves?.(t, port);
    }
  } catch (error) {
    await stop(child);
    throw new Error(`${String(error)}\n--- it said:\n${(await ended).stderr}`);
  }
  await stop(child);
}

/** The block with its replacements for this machine. */
function translated(block: string, { replace = [] }: Entry, port: number): string {
  let text = block;
  for (const [from, to] of replace) {
    assert(text.includes(from), `${JSON.stringify(from)} is not in the block any more`);
    text = text.replaceAll(
      from,
      to.replaceAll("@PORT", String(port)).replaceAll("@UID", String(process.getuid?.() || 1000)),
    );
  }
  return text;
}

const COMMANDS = [
  "sslserver",
  "s6-tlsserver",
  "s_server",
  "sslhandle",
  "sslclient",
  "sslcat",
  "sslconnect",
  "https@",
  "tcprules",
  "tcprulescheck",
];

/** Fills the trial's folder as the documents assume it: certificates, and the commands first in PATH and
 *  in dist/. */
export async function furnish(t: Trial, programs: Readonly<Record<string, string>>): Promise<void> {
  const bin = join(t.dir, "bin");
  fs.mkdirSync(bin);
  fs.symlinkSync("bin", join(t.dir, "dist"));
  const script = (name: string, text: string): void =>
    fs.writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  for (const name of COMMANDS) {
    if (t.form === "binary") {
      // A symbolic link, because the executable chooses its command by its name.
      fs.symlinkSync(formCommand(t.form, "")[0] ?? "", join(bin, name));
    } else {
      // Not a shell script, because dash drops variables like CERTFILE:name.
      const command = JSON.stringify([DENO, "run", "-A", `${ROOT}/cli.ts`, "--as", name]);
      const text = `import os, sys; c = ${command}; os.execv(c[0], c + sys.argv[1:])`;
      fs.writeFileSync(join(bin, name), `#!/usr/bin/python3\n${text}\n`, { mode: 0o755 });
    }
  }
  for (const [name, text] of Object.entries(programs)) script(name, text);
  const server = await selfSigned(t, "server");
  fs.renameSync(server.certificate, join(t.dir, "cert.pem"));
  fs.renameSync(server.key, join(t.dir, "key.pem"));
  const authority = await selfSigned(t, "authority");
  fs.renameSync(authority.certificate, join(t.dir, "ca.pem"));
  fs.renameSync(authority.key, join(t.dir, "ca.key"));
  await clientCertificate(t);
}

/** The file itself, not a link to it, because --allow-run=deno allows the file that PATH leads to. */
export const DENO = join(ROOT, "node_modules/deno/deno");

/** Makes client.pem and client.key for CN=visitor, issued by the authority of ca.pem. */
async function clientCertificate(t: Trial): Promise<void> {
  const [key, request] = [join(t.dir, "client.key"), join(t.dir, "client.csr")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(t, "req", ...kind, "-keyout", key, "-out", request, "-subj", "/CN=visitor");
  const by = ["-CA", join(t.dir, "ca.pem"), "-CAkey", join(t.dir, "ca.key"), "-CAcreateserial"];
  const out = ["-out", join(t.dir, "client.pem"), "-days", "30"];
  await openssl(t, "x509", "-req", "-in", request, ...by, ...out);
}

/** The server's answer to `input` through TLS. Asserts that the conversation ends with close_notify. */
export async function said(t: Trial, port: number, input = ""): Promise<string> {
  const { text, end } = await talk(t, port, input);
  assertStrictEquals(end, "close_notify", text);
  return text;
}

/** Like `said`, but with openssl and the client's certificate. */
export async function saidToVisitor(t: Trial, port: number, input = ""): Promise<string> {
  const files = ["-cert", join(t.dir, "client.pem"), "-key", join(t.dir, "client.key")];
  const where = ["-connect", `127.0.0.1:${port}`];
  const outcome = await t.run("openssl", ["s_client", "-quiet", ...where, ...files], { input });
  return new TextDecoder().decode(outcome.stdout);
}

/** Waits until a process listens on the port. Makes no connection. */
export async function listening(port: number, child?: ChildProcess): Promise<void> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listens = (): boolean =>
    ["tcp", "tcp6"].some((table) =>
      fs.readFileSync(`/proc/net/${table}`, "latin1").split("\n").some((line) =>
        new RegExp(`^ *[0-9]+: [0-9A-F]+:${hex} [0-9A-F]+:0000 0A `).test(line)
      )
    );
  const over = (): boolean => child ? child.exitCode !== null || child.signalCode !== null : false;
  await settled(() => listens() || over(), (done) => done, LIMIT * 3);
  assert(listens(), "the server does not listen");
}

/** Ends a command and its process group, of which it is the leader. */
export async function stop(child: ChildProcess): Promise<void> {
  const group = child.pid ?? 0;
  if (alive(group).length > 0) process.kill(-group, "SIGTERM");
  const left = await settled(() => alive(group), (pids) => pids.length === 0, LIMIT);
  for (const pid of left) process.kill(pid, "SIGKILL");
  assertEquals(left, [], "the server did not end at SIGTERM");
}

/** The running processes of a group, without zombies. */
function alive(group: number): number[] {
  return fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).map(Number)
    .filter((pid) => {
      try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
        const [state, , its] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return Number(its) === group && state !== "Z" && state !== "X";
      } catch {
        return false; // gone
      }
    });
}

export async function outcomeOf(child: ChildProcess): Promise<Ended> {
  const ended: Ended = { status: null, stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  child.stdout?.on("data", (chunk: Uint8Array) => ended.stdout += decoder.decode(chunk));
  child.stderr?.on("data", (chunk: Uint8Array) => ended.stderr += decoder.decode(chunk));
  ended.status = await new Promise((resolve) => child.once("close", resolve));
  return ended;
}

/** The forms for blocks that need root; empty without root. */
export const ROOTS: readonly Form[] = isRoot ? BOTH : [];

/** A replacement: an empty folder of the trial for SSL_CHROOT. */
export const JAIL = ["SSL_CHROOT=/var/empty", 'SSL_CHROOT="$PWD/jail"'] as const;
export async function makeJail(t: Trial): Promise<void> {
  await fs.promises.mkdir(join(t.dir, "jail"), { mode: 0o755 });
}

/** Waits until the trial's server has exactly one worker for each of these users. */
export async function hasWorkers(t: Trial, uids: readonly string[]): Promise<void> {
  const found = await settled(() => workersOf(t), (now) => now.join() === uids.join());
  assertEquals(found, uids);
}

function workersOf(t: Trial): string[] {
  return fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).flatMap((pid) => {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, "latin1");
      const value = (name: string): string =>
        new RegExp(`^${name}:\\s+([0-9]+)`, "m").exec(status)?.[1] ?? "";
      const home = fs.readFileSync(`/proc/${value("PPid")}/environ`, "latin1");
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "latin1");
      const ours = command.includes("sslserver-worker") && home.includes(`HOME=${t.dir}\0`);
      return ours ? [value("Uid")] : [];
    } catch {
      return []; // gone
    }
  });
}

/** A replacement for options that switch to a user. Without root, the user who runs the test. */
export const asUser = (
  text: string,
): readonly [string, string] => [text, isRoot ? text : text.replaceAll(/1000|65534/g, "@UID")];
