/** Every program in docs/library.md does what the page says, on Bun and on Deno. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { exportsOf } from "../../tools/library_reference.ts";
import { freePort } from "../free_port.ts";
import { environmentOf, openssl, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { fenced, listening } from "./docs.ts";
import { claim, type Form, LIMIT, ROOT, type Trial, within } from "./harness.ts";

/** `binary` stands for Bun, because the library is not an executable. */
const BOTH: readonly Form[] = ["binary", "deno"];
const DENO = join(ROOT, "node_modules/deno/deno");

const PROGRAMS = fenced("docs/library.md", "ts");

/** The permissions in the command that the page shows. */
const SHOWN = fenced("docs/library.md")[0]?.match(/--\S+/g) ?? [];

interface Running {
  readonly port: number;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** What the program has printed. */
  stdout: string;
}

/** How a program is tried: `before` runs before it, `works` talks to it. */
interface Case {
  readonly has: string;
  readonly before?: (t: Trial, port: number) => Promise<unknown>;
  readonly works: (t: Trial, running: Running) => Promise<void>;
}

const read = (t: Trial, name: string): string => fs.readFileSync(join(t.dir, name), "utf8");

/** What a client of node:tls gets from the program. */
async function heard(port: number, options: ConnectionOptions, clear = ""): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  let text = clear;
  socket.on("data", (chunk: Uint8Array) => text += new TextDecoder().decode(chunk));
  const end = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  await within(end, LIMIT, "no end");
  return text;
}

const hears = (input: string, text: string) => async (t: Trial, { port }: Running): Promise<void> =>
  assertStrictEquals((await talk(t, port, input)).text, text);

async function certificates(t: Trial): Promise<void> {
  for (const [name, file] of [["server", "cert"], ["authority", "ca"], ["imap", "imap"]] as const) {
    const pair = await selfSigned(t, name);
    fs.renameSync(pair.certificate, join(t.dir, `${file}.pem`));
    fs.renameSync(
      pair.key,
      join(t.dir, `${file === "cert" ? "key" : file}.${file === "cert" ? "pem" : "key"}`),
    );
  }
}

const CASES: readonly Case[] = [
  { has: "echo on port", works: hears("hello\n", "hello\n") },
  { has: "command: [", works: hears("x\n", "hello 127.0.0.1\nx\n") },
  {
    has: "HTTP/1.0 200 OK",
    works: hears("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nyou sent: GET / HTTP/1.0\n"),
  },
  {
    has: "CERTFILE:imap.example",
    before: certificates,
    works: async (_t, { port }) => {
      const options = { servername: "imap.example", ALPNProtocols: ["imap"] };
      assertStrictEquals(await heard(port, options), "imap.example, imap\n");
      assertStrictEquals(await heard(port, { servername: "" }), "no name, no protocol\n");
    },
  },
  {
    has: 'clientCertificate: "valid"',
    before: async (t) => {
      await certificates(t);
      const at = (name: string): string => join(t.dir, name);
      const request = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const made = ["-keyout", at("me.key"), "-out", at("me.csr"), "-subj", "/CN=visitor"];
      await openssl(t, "req", ...request, ...made);
      const by = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial"];
      await openssl(t, "x509", "-req", "-in", at("me.csr"), ...by, "-out", at("me.pem"));
    },
    works: async (t, { port }) => {
      const own = { cert: read(t, "me.pem"), key: read(t, "me.key") };
      assertStrictEquals(await heard(port, own), "hello visitor\n");
      assertStrictEquals(await heard(port, {}), "");
    },
  },
  { has: "compileRule", works: hears("", "hello") },
  {
    has: "server.close()",
    works: async (t, running) => {
      await hears("hello\n", "hello\n")(t, running);
      process.kill(running.child.pid ?? 0, "SIGTERM");
      await within(running.ended, LIMIT, "it did not end");
      assertStrictEquals(running.stdout, "closed\n");
    },
  },
  {
    has: "proxyFrom",
    works: async (t, { port }) => {
      const args = ["-sSk", "--haproxy-protocol", "--http0.9", `https://127.0.0.1:${port}/`];
      const { stdout, stderr } = await t.run("curl", args);
      const text = new TextDecoder().decode(stdout);
      assertStrictEquals(text, "127.0.0.1 by 127.0.0.1\n", stderr);
    },
  },
  {
    has: "verbosity: 2",
    works: async (t, running) => {
      await hears("", "1 of 1\n")(t, running);
      await hears("", "1 of 2\n")(t, running);
      assertMatch(running.stdout, /^sslserver: (?:info|status): [\s\S]*ok \d+ /m);
    },
  },
  {
    has: "connect({",
    before: async (t, port) => {
      const pair = await selfSigned(t, "ca");
      await t.start({ port, env: environmentOf(pair) });
    },
    works: async (_t, running) => {
      await within(running.ended, LIMIT, "it did not end");
      assertStrictEquals(running.stdout, "hello\n");
    },
  },
];

/** Writes a program with a port of its own. Returns the path. */
function written(folder: string, i: number, port: number): string {
  const file = join(folder, `program${i}.ts`);
  const text = (PROGRAMS[i] ?? "").replaceAll("./mod.ts", `${ROOT}/mod.ts`);
  fs.writeFileSync(file, text.replaceAll("8443", String(port)));
  return file;
}

CASES.forEach((one, i) => {
  claim(`docs/library.md: the program with ${one.has}`, async (t) => {
    assert(PROGRAMS[i]?.includes(one.has), `program ${i + 1} of docs/library.md is not this one`);
    const port = await freePort();
    await one.before?.(t, port);
    // The page has the command for the first program.
    const permissions = i === 0 ? SHOWN : ["-A"];
    const command = t.form === "deno" ? [DENO, "run", ...permissions, "--no-check"] : [
      join(ROOT, "node_modules/bun/bin/bun.exe"),
      "--no-install",
    ];
    const [program = "", ...args] = [...command, written(t.dir, i, port)];
    const child = t.spawn(program, args);
    const ended = new Promise((resolve) => child.once("close", resolve));
    const running: Running = { port, child, ended, stdout: "" };
    let stderr = "";
    child.stdout?.on("data", (chunk) => running.stdout += new TextDecoder().decode(chunk));
    child.stderr?.on("data", (chunk) => stderr += new TextDecoder().decode(chunk));
    try {
      await listening(port, child);
      await one.works(t, running);
    } catch (error) {
      throw new Error(`${String(error)}\n--- it said:\n${running.stdout}${stderr}`);
    }
  }, { forms: BOTH, together: true });
});

test("docs/library.md has ten programs, and each is run here", () => {
  assertStrictEquals(PROGRAMS.length, 10);
  const others = CASES.filter(({ has }, i) => !PROGRAMS[i]?.includes(has));
  assertEquals(others, []);
});

claim("the programs of docs/library.md have no type errors", async (t) => {
  const files = PROGRAMS.map((_, i) => written(t.dir, i, 8443));
  const { status, stderr } = await t.run(DENO, [
    "check",
    "--quiet",
    "--config",
    `${ROOT}/deno.json`,
    ...files,
  ], {
    env: { DENO_DIR: join(ROOT, "dist/.deno") },
    limit: 90_000,
  });
  assertStrictEquals(status, 0, stderr);
}, { forms: ["deno"], timeout: 120_000 });

test("the reference of the library has every export", () => {
  const page = fs.readFileSync(join(ROOT, "docs/library_reference.md"), "utf8");
  const names = exportsOf(fs.readFileSync(join(ROOT, "mod.ts"), "utf8")).map(({ name }) => name);
  assertEquals(names.filter((name) => !page.includes(`\n### ${name}\n`)), []);
});
