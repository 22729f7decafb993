/** -1 prints the port once connections are accepted, not before. */

import assert from "node:assert/strict";
import process from "node:process";
import { Raw, talk } from "./clients.ts";
import { claim, type Form, formCommand, WITH_FFI } from "./harness.ts";

claim("-1 prints the port alone on a line, and it can be connected to at once", async (t) => {
  for (let i = 0; i < 3; i++) {
    const server = await t.start();
    // Connects immediately after the line, without a retry.
    const raw = await Raw.connect(server.port);
    raw.destroy();
    assert.equal(server.stdout, `${server.port}\n`);
    const { text } = await talk(t, server, "ready\n");
    assert.equal(text, "ready\n");
    assert.equal(await server.stop(), undefined);
  }
});

claim("a port that is taken: 111, the address, the reason and a remedy, and no line", async (t) => {
  const first = await t.start();
  const second = await t.fails({ port: first.port });
  assert.equal(second.status, 111);
  assert.equal(second.stdout.length, 0);
  assert.match(
    second.stderr,
    new RegExp(
      `^sslserver: fatal: unable to listen on 127\\.0\\.0\\.1 port ${first.port}: .*in use`,
      "mi",
    ),
  );
  assert.match(second.stderr, /^sslserver: info: .*ss -ltnp/m);
});

claim("an address that is not ours: 111 with address and reason", async (t) => {
  const outcome = await t.fails({ host: "192.0.2.1" });
  assert.equal(outcome.status, 111);
  assert.match(outcome.stderr, /^sslserver: fatal: unable to listen on 192\.0\.2\.1 port 0: /m);
});

claim("nothing is printed to stdout without -1 but what the server is asked for", async (t) => {
  const help = await t.run(...command(t.form, "--help"));
  const version = await t.run(...command(t.form, "--version"));
  assert.match(new TextDecoder().decode(help.stdout), /^usage: sslserver \[opts\] host port prog/);
  assert.match(new TextDecoder().decode(version.stdout), /^sslserver [0-9]+\.[0-9]+\.[0-9]+\n$/);
  assert.deepEqual([help.status, version.status, help.stderr, version.stderr], [0, 0, "", ""]);
});

function command(form: Form, option: string): [string, string[]] {
  const [path = "", ...args] = formCommand(form, "cat");
  return [path, [...args, option]];
}

claim("-v says first where it listens, and as whom it serves", async (t) => {
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

claim("a program that is not there stops the start; what is doubtful is a warning", async (t) => {
  const { status, stdout, stderr } = await t.fails({ program: ["no-such-program-here"] });
  assert.equal(status, 111);
  assert.equal(stdout.length, 0);
  assert.match(stderr, /^sslserver: fatal: program no-such-program-here: not found in PATH$/m);
  assert.match(stderr, /^sslserver: info: install it, or give its full path$/m);
  const server = await t.start({ env: { TLS_MIN_VERSON: "1.3" } });
  const warning = /^sslserver: warning: TLS_MIN_VERSON is not read by sslserver -- did you mean /;
  await server.waitFor(warning);
}, { forms: WITH_FFI });
