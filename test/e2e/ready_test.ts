/** -1 prints the port once connections are accepted, not before. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import process from "node:process";
import { Raw, talk } from "./clients.ts";
import { claim, type Form, formCommand, ON_DENO, ROOT, WITH_FFI } from "./harness.ts";

claim("-1 prints the port alone on a line, and it can be connected to at once", async (t) => {
  for (let i = 0; i < 3; i++) {
    const server = await t.start();
    // Connects immediately after the line, without a retry.
    const raw = await Raw.connect(server.port);
    raw.destroy();
    assertStrictEquals(server.stdout, `${server.port}\n`);
    const { text } = await talk(t, server, "ready\n");
    assertStrictEquals(text, "ready\n");
    assertStrictEquals(await server.stop(), undefined);
  }
});

claim("deno run serves with the JavaScript of compile.sh js", async (t) => {
  const { PATH = "/usr/bin:/bin", HOME = "" } = process.env;
  const env = { PATH, HOME, DIST: t.dir };
  const built = await t.run(join(ROOT, "compile.sh"), ["js"], { env, limit: 60_000 });
  assertStrictEquals(built.status, 0, built.stderr);
  const command = formCommand(t.form, "cat").slice(0, -1);
  const rules = join(t.dir, "rules.cdb");
  const made = await t.run(join(ROOT, "dist/tcprules"), [rules, `${rules}.tmp`], {
    input: ":allow\n",
  });
  assertStrictEquals(made.status, 0, made.stderr);
  // With rules, a worker can open files: before Linux 7.0 it is then started by way of confine.js.
  const server = await t.start({
    command: [...command, join(t.dir, "js/cli.js")],
    options: ["-x", rules],
  });
  assertStrictEquals(server.workers().length, t.alone ? 0 : 1);
  const { text, end } = await talk(t, server, "ready\n");
  assertEquals([text, end], ["ready\n", "close_notify"]);
}, { forms: ON_DENO, timeout: 90_000 });

claim("a port in use: exit code 111, with address, reason and remedy", async (t) => {
  const first = await t.start();
  const second = await t.fails({ port: first.port });
  assertStrictEquals(second.status, 111);
  assertStrictEquals(second.stdout.length, 0);
  assertMatch(
    second.stderr,
    new RegExp(
      `^sslserver: fatal: unable to listen on 127\\.0\\.0\\.1 port ${first.port}: .*in use`,
      "mi",
    ),
  );
  assertMatch(second.stderr, /^sslserver: info: .*ss -ltnp/m);
});

claim("a foreign address: exit code 111, with address and reason", async (t) => {
  const outcome = await t.fails({ host: "192.0.2.1" });
  assertStrictEquals(outcome.status, 111);
  assertMatch(outcome.stderr, /^sslserver: fatal: unable to listen on 192\.0\.2\.1 port 0: /m);
});

claim("nothing is printed to stdout without -1 but what the server is asked for", async (t) => {
  const help = await t.run(...command(t.form, "--help"));
  const version = await t.run(...command(t.form, "--version"));
  assertMatch(new TextDecoder().decode(help.stdout), /^usage: sslserver \[opts\] host port prog/);
  assertMatch(new TextDecoder().decode(version.stdout), /^sslserver [0-9]+\.[0-9]+\.[0-9]+\n$/);
  assertEquals([help.status, version.status, help.stderr, version.stderr], [0, 0, "", ""]);
});

function command(form: Form, option: string): [string, string[]] {
  const [path = "", ...args] = formCommand(form, "cat");
  return [path, [...args, option]];
}

claim("-v first prints where the server listens and its users", async (t) => {
  const server = await t.start({ options: ["-vHRl0"] });
  const own = process.getuid?.();
  const one = new RegExp(`^sslserver: info: listening on 127\\.0\\.0\\.1 port ${server.port}$`);
  const two = t.ffi
    ? new RegExp(
      `^sslserver: info: serving with 1 worker, user ${own}, group \\d+; programs: user ${own}`,
    )
    : new RegExp(`^sslserver: info: serving in one process, user ${own}`);
  await server.waitFor(one);
  await server.waitFor(two);
});

claim("a missing program stops the start; a doubtful setting is a warning", async (t) => {
  const { status, stdout, stderr } = await t.fails({ program: ["no-such-program-here"] });
  assertStrictEquals(status, 111);
  assertStrictEquals(stdout.length, 0);
  assertMatch(stderr, /^sslserver: fatal: program no-such-program-here: not found in PATH$/m);
  assertMatch(stderr, /^sslserver: info: install it, or give its full path$/m);
  const server = await t.start({ env: { TLS_MIN_VERSON: "1.3" } });
  const warning = /^sslserver: warning: TLS_MIN_VERSON is not read by sslserver -- did you mean /;
  await server.waitFor(warning);
}, { forms: WITH_FFI });
