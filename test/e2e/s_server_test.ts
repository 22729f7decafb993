/** Command lines of `openssl s_server`, each run with OpenSSL's server and with ours against the same
 *  client, and the terminal's commands. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import type { ChildProcess } from "node:child_process";
import { freePort } from "../free_port.ts";
import { listens } from "../tcp_table.ts";
import { openssl } from "./certificates.ts";
import { talk } from "./clients.ts";
import {
  claim,
  formCommand,
  LIMIT,
  ON_BUN,
  ON_DENO,
  settled,
  type Trial,
  WITH_FFI,
  within,
} from "./harness.ts";
import { type Line, LINES } from "./s_server_lines.ts";

/** A server that runs, with what it has printed. */
interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  stdout: string;
  stderr: string;
  readonly exited: Promise<number | null>;
}

type Kind = "openssl" | "ours";

async function start(t: Trial, kind: Kind, words: readonly string[]): Promise<Running> {
  const port = await freePort();
  const [file = "", ...args] = kind === "openssl"
    ? ["openssl", "s_server"]
    : [...formCommand(t.form, "cat"), "--as", "s_server"];
  const own = words.map((word) => word.replace("$PORT", String(port)).replace("$KIND", kind));
  const where = words.includes("-accept") ? [] : ["-port", String(port)];
  const child = t.spawn(file, [...args, ...own, ...where]);
  const running: Running = {
    child,
    port,
    stdout: "",
    stderr: "",
    exited: new Promise((resolve) => child.on("close", resolve)),
  };
  child.stdout?.on("data", (bytes) => running.stdout += new TextDecoder().decode(bytes));
  child.stderr?.on("data", (bytes) => running.stderr += new TextDecoder().decode(bytes));
  child.stdin?.on("error", () => {}); // the server may end first
  let ended = false;
  void running.exited.then(() => ended = true);
  const ready = (): boolean =>
    ended ||
    (words.includes("-quiet") || words.includes("-brief")
      ? listens(port)
      : running.stdout.includes("ACCEPT"));
  assert(await settled(ready, (is) => is, LIMIT), `no ACCEPT:\n${running.stderr}`);
  assert(!ended, `the server ended: ${running.stderr}`);
  return running;
}

/** Makes the files that the command lines name. */
async function makeFiles(t: Trial): Promise<void> {
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const at = (name: string): string => join(t.dir, name);
  const authority = async (name: string): Promise<void> => {
    await openssl(
      t,
      "req",
      "-x509",
      ...ec,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.pem`),
      "-subj",
      `/CN=${name}`,
      "-days",
      "30",
      "-addext",
      "keyUsage=critical,keyCertSign,cRLSign",
    );
  };
  const leaf = async (name: string, by: string, extension = ""): Promise<void> => {
    const key = name === "rsa" ? ["-newkey", "rsa:2048", "-nodes"] : ec;
    fs.writeFileSync(
      at(`${name}.ext`),
      extension || `subjectAltName=DNS:${name}.example,DNS:localhost`,
    );
    await openssl(
      t,
      "req",
      ...key,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
      "-subj",
      `/CN=${name}${extension ? "" : ".example"}`,
    );
    await openssl(
      t,
      "x509",
      "-req",
      "-in",
      at(`${name}.csr`),
      "-CA",
      at(`${by}.pem`),
      "-CAkey",
      at(`${by}.key`),
      "-CAcreateserial",
      "-out",
      at(`${name}.pem`),
      "-days",
      "30",
      "-extfile",
      at(`${name}.ext`),
    );
  };
  await Promise.all([authority("ca"), authority("elsewhere")]);
  for (const name of ["srv", "second", "cli", "bad", "rsa"]) await leaf(name, "ca");
  await leaf("foreign", "elsewhere");
  await leaf("between", "ca", "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign");
  await leaf("deep", "between");
  await openssl(
    t,
    "ec",
    "-in",
    at("srv.key"),
    "-aes256",
    "-passout",
    "pass:secret",
    "-out",
    at("locked.key"),
  );
  await openssl(t, "x509", "-in", at("srv.pem"), "-outform", "DER", "-out", at("srv.der"));
  await openssl(
    t,
    "pkcs8",
    "-topk8",
    "-nocrypt",
    "-in",
    at("srv.key"),
    "-outform",
    "DER",
    "-out",
    at("srvkey.der"),
  );
  fs.writeFileSync(at("index"), "");
  fs.writeFileSync(
    at("ca.cnf"),
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${at("index")}\ndefault_md=sha256\ndefault_crl_days=30\n`,
  );
  const ca = ["ca", "-config", at("ca.cnf"), "-cert", at("ca.pem"), "-keyfile", at("ca.key")];
  await openssl(t, ...ca, "-revoke", at("bad.pem"));
  await openssl(t, ...ca, "-gencrl", "-out", at("ca.crl"));
  fs.writeFileSync(at("password"), "secret\n");
  fs.writeFileSync(at("page.html"), "<p>A page\n");
  const body = "Its body\n";
  fs.writeFileSync(
    at("answer"),
    `HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\nX-Answer: whole\r\n\r\n${body}`,
  );
}

/** What is seen of one line with one server. */
async function seen(t: Trial, kind: Kind, line: Line): Promise<string[]> {
  const words = [...line.server.split(" "), "-naccept", String(line.connections ?? 1)];
  const server = await start(t, kind, words);
  const client = await t.run("sh", ["-c", `${line.client} 2>&1`], {
    env: { PORT: String(server.port), KIND: kind },
  });
  const status = await within(server.exited, LIMIT, `${kind} ${line.server} did not end`);
  assertEquals(status, 0, `${line.server}: ${server.stderr}`);
  const texts = {
    client: new TextDecoder().decode(client.stdout),
    server: server.stdout,
    errors: server.stderr,
  };
  return Object.entries(line.look).map(([where, pattern]) => {
    const found = pattern.exec(texts[where as keyof typeof texts])?.[0];
    // Long matches are for their order; their beginning is enough.
    return found === undefined ? "-" : line.seen.find((text) => found.startsWith(text)) ?? found;
  });
}

const show = ({ server, client }: Line): string => `s_server ${server}\n${client}`;

claim("s_server does what openssl s_server does, line by line", async (t) => {
  await makeFiles(t);
  await twoAtATime(LINES, async (line) => {
    const [theirs, ours] = await Promise.all([seen(t, "openssl", line), seen(t, "ours", line)]);
    assertEquals(theirs, line.openssl ?? line.seen, show(line));
    assertEquals(ours, line.seen, `ours: ${show(line)}`);
  });
}, { forms: ON_BUN, timeout: 120_000 });

/** A line mostly waits. */
async function twoAtATime(
  lines: readonly Line[],
  act: (line: Line) => Promise<void>,
): Promise<void> {
  await Promise.all([0, 1].map(async (rest) => {
    for (const line of lines.filter((_, i) => i % 2 === rest)) await act(line);
  }));
}

claim("s_server serves the same lines under Deno", async (t) => {
  await makeFiles(t);
  const lines = LINES.filter(({ deno }) => deno);
  await twoAtATime(t.ffi ? lines : lines.slice(0, 5), async (line) => {
    assertEquals(await seen(t, "ours", line), line.seen, show(line));
  });
}, { forms: ON_DENO, timeout: 120_000 });

claim("--keylog of sslserver writes secrets that only its user can read", async (t) => {
  const file = join(t.dir, "secrets");
  const server = await t.start({ options: ["--keylog", file], workers: false });
  await server.waitFor(/warning: the secrets of all connections are written to .*secrets/);
  await talk(t, server, "hello\n");
  assertMatch(fs.readFileSync(file, "latin1"), /^(?:[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]+\n)+$/);
  assertEquals(fs.statSync(file).mode & 0o777, 0o600);
}, { forms: ON_BUN });

claim("--keylog is refused under Deno, and with workers", async (t) => {
  const without = await t.fails({ options: ["--keylog", join(t.dir, "x")], workers: false });
  assertMatch(without.stderr, /fatal: unable to log the secrets .*rustls/);
  const workers = await t.fails({ options: ["--keylog", "x", "--workers", "2"], workers: false });
  assertEquals(workers.status, 100);
}, { forms: ["deno"] });

claim("options that Deno's TLS library lacks are refused with its name", async (t) => {
  for (const option of ["-serverpref", "-cipher X"]) {
    const [file = "", ...args] = [...formCommand(t.form, "cat"), "--as", "s_server"];
    const { status, stderr } = await t.run(file, [...args, ...option.split(" ")]);
    assertEquals(status, 100, option);
    assertMatch(stderr, /unable to honour .*rustls/, option);
  }
}, { forms: ["deno"] });

claim("Q, q and S of the terminal are commands, and lines go to the client", async (t) => {
  const server = await start(t, "ours", ["-crlf"]); // with a temporary certificate
  const meet = (): ChildProcess =>
    t.spawn("openssl", ["s_client", "-connect", `127.0.0.1:${server.port}`, "-quiet"]);
  const first = meet();
  let received = "";
  first.stdout?.on("data", (bytes) => received += new TextDecoder().decode(bytes));
  const firstEnded = new Promise((resolve) => first.on("close", resolve));
  server.child.stdin?.write("hello client\nS\n");
  await settled(() => received, (text) => text.includes("hello client\r\n"), LIMIT);
  await settled(() => server.stdout, (text) => text.includes("1 server accepts"), LIMIT);
  server.child.stdin?.write("q\n");
  await within(firstEnded, LIMIT, "q did not end the connection");
  assertEquals(received, "hello client\r\n");
  const accepts = (): number => server.stdout.split("ACCEPT\n").length - 1;
  assertEquals(await settled(accepts, (n) => n >= 2, LIMIT), 2);
  meet();
  await settled(() => server.stdout.split("CIPHER is").length, (n) => n === 3, LIMIT);
  server.child.stdin?.write("Q\n");
  assertEquals(await within(server.exited, LIMIT, "Q did not end the server"), 0);
  assertMatch(server.stdout, /DONE\nshutting down SSL\nCONNECTION CLOSED\n.* items in the/);
});

claim("P breaks TLS with plain text", async (t) => {
  const server = await start(t, "ours", []); // with a temporary certificate
  server.child.stdin?.write("P\n");
  const client = t.spawn("openssl", ["s_client", "-connect", `127.0.0.1:${server.port}`, "-quiet"]);
  let errors = "";
  client.stderr?.on("data", (bytes) => errors += new TextDecoder().decode(bytes));
  await settled(() => errors, (text) => text.includes("wrong version number"), LIMIT);
  assertMatch(errors, /wrong version number/);
  server.child.kill("SIGTERM");
  await server.exited;
}, { forms: WITH_FFI });

claim(
  "an unsupported option ends with 100, a missing certificate with 1",
  async (t) => {
    const [file = "", ...args] = [...formCommand(t.form, "cat"), "--as", "s_server"];
    const refused = await t.run(file, [...args, "-psk", "1a2b"]);
    assertEquals(refused.status, 100);
    assertMatch(refused.stderr, /unable to honour -psk: /);
    const missing = await t.run(file, [...args, "-cert", "absent.pem"]);
    assertEquals(missing.status, 1);
    assertMatch(missing.stderr, /absent\.pem/);
  },
  { forms: ["binary", "deno"] },
);
