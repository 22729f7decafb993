/** sslcat, sslconnect and https@ as a user runs them. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { createHash } from "node:crypto";
import { selfSigned } from "./certificates.ts";
import { claim, formCommand, type Outcome, ROOT, type Server, type Trial } from "./harness.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

type Name = "sslcat" | "sslconnect" | "https@";

const command = (t: Trial, name: Name, ...args: readonly string[]): string[] => [
  ...formCommand(t.form, "cat"),
  "--as",
  name,
  ...args,
];

/** Starts a server for localhost that runs a script; -a has its certificate. */
async function serve(t: Trial, script: string): Promise<{ server: Server; trust: string[] }> {
  const { certificate, key } = await selfSigned(t, "localhost");
  const server = await t.start({
    env: { CERTFILE: certificate, KEYFILE: key },
    options: ["-HRl0"],
    program: ["sh", "-c", script],
  });
  return { server, trust: ["-a", certificate] };
}

async function run(t: Trial, words: readonly string[], input = ""): Promise<Outcome> {
  return await t.run(words[0] ?? "", words.slice(1), { input });
}

/** Runs a client and feeds the pipe `then` with its output. Returns the client's exit code too. */
async function piped(t: Trial, words: readonly string[], then: string): Promise<Outcome> {
  const script = `{ "$@"; echo "status $?" >&2; } | ${then}`;
  return await t.run("sh", ["-c", script, "sh", ...words]);
}

claim("sslcat prints what the server sends, byte for byte, and sends nothing", async (t) => {
  const { server, trust } = await serve(t, "printf 'a\\r\\n\\0\\377'");
  const words = command(t, "sslcat", "localhost", String(server.port), ...trust);
  const { status, stdout, stderr } = await run(t, words, "not sent");
  assertEquals([status, stderr], [0, ""]);
  assertEquals([...stdout], [...new TextEncoder().encode("a\r\n\0"), 0xff]);
}, { together: true });

claim("100 MB go through sslcat, whole and in bounded memory", async (t) => {
  const size = 100 << 20;
  const { server, trust } = await serve(t, `head -c ${size} /dev/zero`);
  const words = command(t, "sslcat", "localhost", String(server.port), ...trust);
  const peak = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); " +
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)";
  const { stdout, stderr } = await piped(t, ["python3", "-c", peak, ...words], "sha256sum");
  const [kilobytes, status] = stderr.split("\n");
  assertStrictEquals(status, "status 0");
  const zeros = createHash("sha256").update(new Uint8Array(size)).digest("hex");
  assertStrictEquals(text(stdout).slice(0, 64), zeros);
  assert(Number(kilobytes) < 200_000, `${kilobytes} KB`);
}, { timeout: 120_000 });

claim("a closed reader ends sslcat silently, as SIGPIPE would", async (t) => {
  const { server, trust } = await serve(t, "yes");
  const words = command(t, "sslcat", "localhost", String(server.port), ...trust);
  const { stdout, stderr } = await piped(t, words, "head -c 4");
  assertEquals([text(stdout), stderr], ["y\ny\n", "status 141\n"]);
}, { together: true });

claim("sslconnect sends its input with CR LF, and prints what comes after its end", async (t) => {
  const { server, trust } = await serve(t, "od -An -c; echo end");
  const words = command(t, "sslconnect", "localhost", String(server.port), ...trust);
  const { status, stdout, stderr } = await run(t, words, "a\nb\r\n\nc");
  assertEquals([status, stderr], [0, ""]);
  assertEquals(text(stdout).split(/\s+/).filter((word) => word !== ""), [
    ..."a \\r \\n b \\r \\n \\r \\n c end".split(" "),
  ]);
}, { together: true });

claim("sslconnect is a terminal for a mail server", async (t) => {
  const { server, trust } = await serve(t, `sh ${join(ROOT, "test/data/pop3.sh")}`);
  const words = command(t, "sslconnect", "localhost", String(server.port), ...trust);
  const dialogue = [["+OK ready", "STAT\n"], ["+OK 0 0 tls=no", "NOOP\n"], ["-ERR", "quit\n"]];
  const script = join(ROOT, "test/data/terminal.py");
  const shown = await run(t, ["python3", script, JSON.stringify(dialogue), ...words]);
  assertStrictEquals(shown.status, 0, text(shown.stdout));
  assertMatch(text(shown.stdout), /\+OK ready[^]*STAT[^]*\+OK 0 0 tls=no[^]*quit[^]*\+OK bye/);
}, { together: true });

claim("control-D ends the input of sslconnect on a terminal", async (t) => {
  const { server, trust } = await serve(t, "echo ready; cat >/dev/null; echo got the end");
  const words = command(t, "sslconnect", "localhost", String(server.port), ...trust);
  const script = join(ROOT, "test/data/terminal.py");
  const dialogue = JSON.stringify([["ready", "line\n"], ["line", "\x04"]]);
  const shown = await run(t, ["python3", script, dialogue, ...words]);
  assertEquals([shown.status, /got the end/.test(text(shown.stdout))], [0, true]);
}, { together: true });

const PAGE = `read request; read host
  printf 'HTTP/1.0 404 Not Found\\r\\nX: y\\r\\n\\r\\n%s\\r\\n%s\\r\\nlast' "$request" "$host"`;

claim("https@ prints the body of a page behind our own server", async (t) => {
  const { server, trust } = await serve(t, PAGE);
  const port = String(server.port);
  const words = command(t, "https@", "localhost", "a/b?c=%20d", port, ...trust);
  const { status, stdout, stderr } = await run(t, words);
  assertEquals([status, stderr], [0, ""]);
  // The request's lines end with CR LF, and the page adds another CR; one of them is removed.
  assertEquals(text(stdout), "GET /a/b?c=%20d HTTP/1.0\r\nHost: localhost\r\nlast");
  const none = await serve(t, "read request; printf 'HTTP/1.0 200 OK\\r\\n'");
  const bare = command(t, "https@", "localhost", "", String(none.server.port), ...none.trust);
  const failed = await run(t, bare);
  assertStrictEquals(failed.status, 111);
  assertMatch(
    failed.stderr,
    /^https@: fatal: unable to find the body: the answer has no empty line\n$/,
  );
}, { together: true });

claim("each of them verifies the server, and -X and -N switch the checks off", async (t) => {
  const { server, trust } = await serve(t, PAGE);
  const port = String(server.port);
  const other = await selfSigned(t, "other");
  for (
    const [name, ...operands] of [["sslcat", "localhost"], ["https@", "127.0.0.1", "x"]] as const
  ) {
    const refused = await run(t, command(t, name, ...operands, port, "-a", other.certificate));
    assertStrictEquals(refused.status, 111);
    assertMatch(
      refused.stderr,
      new RegExp(`^${name}: fatal: unable to trust the server: self-signed`),
    );
    assertEquals(refused.stdout.length, 0);
  }
  const anyName = await run(t, command(t, "sslconnect", "127.0.0.1", port, ...trust, "-N"));
  assertEquals([anyName.status, anyName.stderr], [0, ""]);
  const open = await run(t, command(t, "https@", "localhost", "x", port, "-X"));
  assertEquals([open.status, open.stderr], [0, ""]);
  const away = await run(t, command(t, "sslconnect", "-6", "localhost", port, ...trust));
  assertStrictEquals(away.status, 111);
  assertMatch(away.stderr, /unable to connect to "localhost" port \d+: ::1: /);
}, { together: true });

claim("wrong usage exits with 100, and --help names the operands", async (t) => {
  const bad = await run(t, command(t, "https@", "localhost", "a b"));
  assertStrictEquals(bad.status, 100);
  assertMatch(
    bad.stderr,
    /^https@: fatal: unable to ask for the page: [^]*%20\nhttps@: usage: https@ /,
  );
  for (const name of ["sslcat", "sslconnect", "https@"] as const) {
    const { status, stdout } = await run(t, command(t, name, "--help"));
    assertStrictEquals(status, 0);
    assert(text(stdout).startsWith(`usage: ${name} [-4|-6] [host [`));
    const lines = text(stdout).split("\n");
    assertEquals(lines.filter((line) => line.length > 80), []);
  }
}, { together: true });
