/** Options: usage errors exit with 100 and one usage line. A message about an unsupported option names
 *  it. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import fs from "node:fs";
import { talk } from "./clients.ts";
import { claim, formCommand, type Outcome, type Trial } from "./harness.ts";

/** Runs the server with exactly these arguments. */
function bare(t: Trial, ...args: string[]): Promise<Outcome> {
  const [path = "", ...before] = formCommand(t.form, "cat");
  return t.run(path, [...before, ...args]);
}

claim("wrong usage: 100, the reason, one usage line, nothing on stdout", async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /host, port and prog are missing/],
    [["127.0.0.1"], /port and prog are missing/],
    [["127.0.0.1", "0"], /prog is missing/],
    [["-k", "127.0.0.1", "0", "cat"], /unknown option -k/],
    [["--nonsense", "127.0.0.1", "0", "cat"], /unknown option --nonsense/],
    [["-c"], /option -c needs a value/],
    [["-c", "0", "127.0.0.1", "0", "cat"], /option -c needs a number from 1/],
    [["-c", "x", "127.0.0.1", "0", "cat"], /option -c needs a number/],
    [["-w", "-1", "127.0.0.1", "0", "cat"], /option -w needs a number/],
    [["--log", "xml", "127.0.0.1", "0", "cat"], /option --log needs text, json or s6, not 'xml'/],
    [["--self-signed=1", "127.0.0.1", "0", "cat"], /option --self-signed takes no value/],
  ];
  for (const [args, message] of cases) {
    const outcome = await bare(t, ...args);
    const lines = outcome.stderr.trimEnd().split("\n");
    assertStrictEquals(outcome.status, 100, `${args.join(" ")}: ${outcome.stderr}`);
    assertMatch(lines[0] ?? "", /^sslserver: fatal: /);
    assertMatch(lines[0] ?? "", message);
    assertStrictEquals(lines[1], "sslserver: usage: sslserver [opts] host port prog [args]");
    assertStrictEquals(lines.length, 2);
    assertStrictEquals(outcome.stdout.length, 0);
  }
});

claim("--as with a name that no command has: 100, and the names", async (t) => {
  for (const args of [["--as"], ["--as", "no\nname", "127.0.0.1", "0", "cat"]]) {
    const { status, stdout, stderr } = await bare(t, ...args);
    const given = args.length > 1 ? "no\\?name" : "";
    const message = `^sslserver: fatal: unknown command '${given}': --as takes sslserver, .*https@`;
    assertMatch(stderr, new RegExp(message));
    assertStrictEquals(stderr.split("\n").length, 2);
    assertStrictEquals(status, 100);
    assertStrictEquals(stdout.length, 0);
  }
});

claim("an unknown port name, and a port above 65535: 111 or 100 with the port", async (t) => {
  for (const port of ["no-such-service", "65536"]) {
    const outcome = await bare(t, "--self-signed", "127.0.0.1", port, "cat");
    assert(outcome.status === 111 || outcome.status === 100);
    assertMatch(outcome.stderr, new RegExp(`^sslserver: fatal: .*port ${port}`, "m"));
  }
});

claim(
  "options cluster, values may be attached, the last of several options counts, -- ends them",
  async (t) => {
    const server = await t.start({
      options: ["-qvHRl0", "-c3", "-c", "7", "-w9", "--log=text", "--"].slice(0, -1),
      program: ["sh", "-c", 'echo "$SSLLOCALHOST $1 $2"', "sh", "-1", "--help"],
    });
    const { text } = await talk(t, server);
    assertStrictEquals(text, "0 -1 --help\n");
    await server.waitFor(/^sslserver: status: 1\/7\/0$/);
  },
);

claim("-q prints nothing, not even why the server ends", async (t) => {
  const outcome = await t.fails({ options: ["-q"], selfSigned: false });
  assertStrictEquals(outcome.status, 111);
  assertStrictEquals(outcome.stderr, "");
  const program = join(t.dir, "plain");
  fs.writeFileSync(program, "", { mode: 0o644 });
  const server = await t.start({ options: ["-q"], program: [program] });
  await talk(t, server);
  assertStrictEquals(server.log(), "");
});

claim("the client gets the text of -B first", async (t) => {
  const server = await t.start({ options: ["-B", "220 ready\r\n"], program: ["echo", "hello"] });
  const { text } = await talk(t, server, "", ["-e", "stay"]);
  assertStrictEquals(text, "220 ready\r\nhello\n");
});

claim("a host name is looked up, a port name found in /etc/services", async (t) => {
  const taken = await t.start({ host: "localhost", options: ["-4"] });
  const { text } = await talk(t, taken, "hello\n");
  assertStrictEquals(text, "hello\n");
  const rewrite = join(t.dir, "rewrite");
  fs.writeFileSync(rewrite, "=elsewhere:192.0.2.1\n");
  const [path = "", ...before] = formCommand(t.form, "cat");
  for (const host of ["192.0.2.1", "elsewhere"]) {
    const args = [...before, "--self-signed", host, "smtps", "cat"];
    const outcome = await t.run(path, args, { env: { DNSREWRITEFILE: rewrite } });
    assertMatch(outcome.stderr, /unable to listen on 192\.0\.2\.1 port 465/);
  }
});

claim("-d leaves Nagle's delay on, the default turns it off", async (t) => {
  // The client sends one line at a time and waits for each answer. With Nagle's delay a line takes
  // 40 ms.
  const server = await t.start({ program: ["cat"] });
  const { text, facts } = await talk(t, server, "x\n".repeat(100));
  assertStrictEquals(text.length, 200);
  assert(Number(facts["ms"]) < 2500, facts["ms"]);
  const delayed = await t.start({ options: ["-d"] });
  assertStrictEquals((await talk(t, delayed, "x\n")).text, "x\n");
});
