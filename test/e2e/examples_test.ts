/** The examples for the library do what they say, on Bun and on Deno. docs_recipes_test.ts tests the others. */

import { assert, assertMatch, assertStrictEquals, fail } from "@std/assert";
import { join } from "@std/path";
import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { type AddressInfo, createServer, type Server as TcpServer } from "node:net";
import process from "node:process";
import { openssl, type Pair, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { claim, type Form, formCommand, LIMIT, ROOT, type Trial, within } from "./harness.ts";

/** `binary` stands for Bun here, because the library is not an executable. */
const BOTH: readonly Form[] = ["binary", "deno"];

function runtime(form: Form): string[] {
  return form === "deno"
    ? [join(ROOT, "node_modules/deno/deno"), "run", "-A"]
    : [join(ROOT, "node_modules/bun/bin/bun.exe"), "--no-install"];
}

/** Waits for the line in which the example prints its port. */
async function portOf(child: ChildProcess, line: RegExp): Promise<number> {
  let stdout = "";
  let stderr = "";
  child.stderr?.on("data", (chunk: Uint8Array) => stderr += new TextDecoder().decode(chunk));
  const told = new Promise<number>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Uint8Array) => {
      stdout += new TextDecoder().decode(chunk);
      const port = line.exec(stdout)?.[1];
      if (port) resolve(Number(port));
    });
    child.on("close", () => reject(new Error(`it ended: ${stderr}`)));
  });
  return await within(told, LIMIT, "it told no port");
}

async function stopped(child: ChildProcess, code: number | null): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // Not `child.kill`: after it Deno reports the signal even if the child has exited by itself.
  process.kill(child.pid ?? 0, "SIGTERM");
  assertStrictEquals(await within(ended, LIMIT, "it did not end at SIGTERM"), code);
}

/** A claim about examples/NAME.ts while it runs. */
function example(
  name: string,
  what: string,
  body: (t: Trial, port: number) => Promise<void>,
  prepare: (t: Trial) => Promise<{ args?: string[]; env?: Record<string, string> }> = () =>
    Promise.resolve({}),
): void {
  claim(`examples/${name}.ts ${what}`, async (t) => {
    const { args = [], env = {} } = await prepare(t);
    const [command = "", ...options] = runtime(t.form);
    const file = join(ROOT, "examples", `${name}.ts`);
    const child = t.spawn(command, [...options, file, ...args], env);
    await body(t, await portOf(child, /on port ([0-9]+)\n/));
    await stopped(child, 0);
  }, { forms: BOTH });
}

/** A claim about the module examples/NAME.ts while sslhandle serves it. `binary` is the compiled file. */
function served(
  name: string,
  options: readonly string[],
  what: string,
  body: (t: Trial, port: number) => Promise<void>,
  prepare: (t: Trial) => Promise<{ args?: string[]; env?: Record<string, string> }> = () =>
    Promise.resolve({}),
): void {
  claim(`examples/${name}.ts ${what}`, async (t) => {
    const { args = [], env = {} } = await prepare(t);
    const { port } = await t.start({
      command: [...formCommand(t.form, ""), "--as", "sslhandle"],
      options: [...options],
      program: [join(ROOT, "examples", `${name}.ts`), ...args],
      env,
      workers: false,
    });
    await body(t, port);
  }, { forms: BOTH });
}

/** A certificate for CN=visitor by `authority`. */
async function visitor(t: Trial, authority: Pair): Promise<Pair> {
  const pair = { certificate: join(t.dir, "visitor.pem"), key: join(t.dir, "visitor.key") };
  const request = join(t.dir, "visitor.csr");
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(t, "req", ...kind, "-keyout", pair.key, "-out", request, "-subj", "/CN=visitor");
  const by = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial"];
  await openssl(t, "x509", "-req", "-in", request, ...by, "-out", pair.certificate);
  return pair;
}

/** The output of `openssl s_client`, with the client certificate `pair` if given. */
async function heard(t: Trial, port: number, input: string, pair?: Pair): Promise<string> {
  const where = ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`];
  const files = pair ? ["-cert", pair.certificate, "-key", pair.key] : [];
  const { stdout } = await t.run("openssl", [...where, ...files], { input });
  return new TextDecoder().decode(stdout);
}

example("echo", "sends back what comes, with a certificate of its own", async (t, port) => {
  const text = "x".repeat(300_000);
  const { text: back, end } = await talk(t, port, text);
  assertStrictEquals(back, text);
  assertStrictEquals(end, "close_notify");
});

example("echo", "takes CERTFILE and KEYFILE", async (t, port) => {
  const { facts } = await talk(t, port, "hello");
  assert(facts["end"]);
  const { stdout } = await t.run("openssl", ["s_client", "-connect", `127.0.0.1:${port}`]);
  assertMatch(new TextDecoder().decode(stdout), /^subject=CN ?= ?named$/m);
}, async (t) => {
  const { certificate, key } = await selfSigned(t, "named");
  return { env: { CERTFILE: certificate, KEYFILE: key } };
});

served("gemini", ["-s"], "serves pages, and knows its visitors", async (t, port) => {
  const ask = (path: string, pair?: Pair) => heard(t, port, `gemini://localhost${path}\r\n`, pair);
  assertStrictEquals(await ask("/"), "20 text/gemini\r\n# Welcome\n");
  assertStrictEquals(await ask("/nothing.gmi"), "51 not found\r\n");
  assertStrictEquals(await ask("/../../../../etc/passwd"), "51 not found\r\n");
  assertStrictEquals(await ask("/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), "51 not found\r\n");
  assertStrictEquals(await ask("/whoami"), "60 show me a certificate\r\n");
  const own = await selfSigned(t, "me");
  const print = await openssl(
    t,
    "x509",
    "-in",
    own.certificate,
    "-noout",
    "-fingerprint",
    "-sha256",
  );
  const hex = print.replace(/.*=/, "").replaceAll(":", "").trim().toLowerCase();
  assertStrictEquals(await ask("/whoami", own), `20 text/gemini\r\nYou are ${hex}\n`);
  assertStrictEquals(await ask(""), "20 text/gemini\r\n# Welcome\n");
  assertStrictEquals(await ask("?query"), "20 text/gemini\r\n# Welcome\n");
  assertStrictEquals(await ask("/inside.gmi"), "20 text/gemini\r\n# Welcome\n");
  const outside = [
    "/outside.gmi",
    "/up/secret",
    "/..%2fsecret",
    "/%00",
    "/pipe",
    "/sub",
    "//secret",
  ];
  for (const path of outside) assertStrictEquals(await ask(path), "51 not found\r\n", path);
  const bad = [
    ...["no address", "", "/", "gemini:../secret", "gemini:/index.gmi", "gemini:index.gmi"],
    ...["gemini:///index.gmi", "https://localhost/", "file:///etc/passwd", "//localhost/"],
    ...[
      "gemini://localhost/%zz",
      "gemini://me@localhost/",
      `gemini://localhost/${"x".repeat(1024)}`,
    ],
  ];
  for (const line of bad) {
    assertStrictEquals(await heard(t, port, `${line}\r\n`), "59 bad request\r\n", line);
  }
}, (t) => {
  const folder = join(t.dir, "pages");
  fs.mkdirSync(join(folder, "sub"), { recursive: true });
  fs.writeFileSync(join(t.dir, "secret"), "secret");
  fs.symlinkSync("../secret", join(folder, "outside.gmi"));
  fs.symlinkSync("..", join(folder, "up"));
  fs.symlinkSync("index.gmi", join(folder, "inside.gmi"));
  execFileSync("mkfifo", [join(folder, "pipe")]);
  fs.writeFileSync(join(folder, "index.gmi"), "# Welcome\n");
  return Promise.resolve({ args: [folder], env: { CCAFILE: "/dev/null" } });
});

served("status_page", ["-s"], "answers curl", async (t, port) => {
  const get = async (path: string, ...options: string[]): Promise<string> => {
    const { stdout } = await t.run("curl", ["-sk", ...options, `https://127.0.0.1:${port}${path}`]);
    return new TextDecoder().decode(stdout);
  };
  assertMatch(await get("/"), /^you are 127\.0\.0\.1 port [0-9]+, by TLSv1\.3 with TLS_\w+\n$/);
  assertMatch(await get("/other", "-i"), /^HTTP\/1\.1 404 Not Found\r\n/);
  assertMatch(await get("/", "-i", "-X", "POST"), /^HTTP\/1\.1 404 Not Found\r\n/);
});

/** The client certificates for a running mutual_tls.ts. */
const pairs = new WeakMap<Trial, { ours: Pair; stranger: Pair }>();

example("mutual_tls", "lets in only whom its authority knows, by name", async (t, port) => {
  const { ours, stranger } = pairs.get(t) ?? fail();
  assertStrictEquals(await heard(t, port, "", ours), "hello visitor\n");
  assertStrictEquals(await heard(t, port, "", stranger), "");
  assertStrictEquals(await heard(t, port, ""), "");
}, async (t) => {
  const [server, authority] = [await selfSigned(t, "server"), await selfSigned(t, "authority")];
  pairs.set(t, { ours: await visitor(t, authority), stranger: await selfSigned(t, "stranger") });
  return {
    env: {
      CERTFILE: server.certificate,
      KEYFILE: server.key,
      CAFILE: authority.certificate,
    },
  };
});

claim(
  "examples/echo_client.ts sends to examples/echo.ts, and refuses another server",
  async (t) => {
    const [command = "", ...options] = runtime(t.form);
    const file = (name: string): string => join(ROOT, "examples", `${name}.ts`);
    const [pair, other] = [await selfSigned(t, "named"), await selfSigned(t, "other")];
    const env = { CERTFILE: pair.certificate, KEYFILE: pair.key };
    const server = t.spawn(command, [...options, file("echo")], env);
    const PORT = String(await portOf(server, /on port ([0-9]+)\n/));
    const args = [...options, file("echo_client"), "hello", "world"];
    const asked = await t.run(command, args, { env: { PORT, CAFILE: pair.certificate } });
    assertStrictEquals(new TextDecoder().decode(asked.stdout), "hello world\n", asked.stderr);
    assertStrictEquals(asked.status, 0);
    const refused = await t.run(command, args, { env: { PORT, CAFILE: other.certificate } });
    assertStrictEquals(refused.status, 111);
    assertMatch(refused.stderr, /^unable to trust the server: /);
    await stopped(server, 0);
  },
  { forms: BOTH },
);

/** A TCP service that sends back what it gets, and ends after its client. */
const services = new WeakMap<Trial, TcpServer>();

served("proxy", ["-H"], "copies both directions to their ends", async (t, port) => {
  const text = "0123456789".repeat(200_000);
  const { text: back, end } = await talk(t, port, text);
  assert(back === text, `${back.length} bytes came`);
  assertStrictEquals(end, "close_notify");
  services.get(t)?.close();
  assertStrictEquals((await talk(t, port, text)).text, "");
}, async (t) => {
  const service = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  services.set(t, service);
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  return { args: ["127.0.0.1", String((service.address() as AddressInfo).port)] };
});
