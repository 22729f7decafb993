/** Every command in the EXAMPLES of the manual pages does what the page says. `--man` shows the pages. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { MANUAL } from "../../src/commands/manual.ts";
import { PAGES } from "../../src/config/options.ts";
import { talk } from "./clients.ts";
import { claim, formCommand, ROOT, type Trial } from "./harness.ts";
import {
  type Entry,
  examples,
  hasWorkers,
  JAIL,
  makeJail,
  ROOTS,
  said,
  saidToVisitor,
  tryBlocks,
} from "./docs.ts";
import { startTls } from "./starttls.ts";

tryBlocks("sslserver.1", examples("sslserver.1"), [
  {
    first: "sslserver --self-signed -v 127.0.0.1 8443 cat",
    replace: [["8443", "@PORT"]],
    serves: async (t, port) => assertStrictEquals(await said(t, port, "hello\n"), "hello\n"),
  },
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem \\",
    replace: [["4650", "@PORT"]],
    ends: (_t, { stdout, status, stderr }) => {
      assertMatch(stdout, /: certificate cert.pem: /);
      assertMatch(stdout, /^ok: program \S+: executable$/m);
      assert(status === 0 || status === 1, `${status}: ${stdout}${stderr}`);
    },
  },
  {
    first: "printf '127.:allow\\n:deny\\n' | tcprules rules.cdb rules.tmp",
    replace: [["8443", "@PORT"]],
    serves: async (t, port) => assertStrictEquals(await said(t, port, "hello\n"), "hello\n"),
  },
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem CAFILE=ca.pem \\",
    replace: [["8443", "@PORT"]],
    serves: async (t, port) => {
      assertStrictEquals(await saidToVisitor(t, port), "hello visitor\n");
      assertStrictEquals((await talk(t, port)).text, "");
    },
  },
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem \\",
    forms: ROOTS,
    before: makeJail,
    replace: [["8443", "@PORT"], JAIL],
    serves: async (t, port) => {
      assertStrictEquals(await said(t, port, "hello\n"), "hello\n");
      await hasWorkers(t, ["65534"]);
    },
  },
]);

/** Starts the server that an example of a client talks to, as its page shows it. */
const serving = (program: string[]) => async (t: Trial, port: number): Promise<void> => {
  const env = { CERTFILE: join(t.dir, "cert.pem"), KEYFILE: join(t.dir, "key.pem") };
  await t.start({ port, program, env, options: ["-HRl0"] });
};

/** An example of a client, and what it prints. */
const client = (first: string, program: string[], prints: RegExp): Entry => ({
  first,
  replace: [["8443", "@PORT"]],
  before: serving(program),
  ends: (_t, { status, stdout, stderr }) => {
    assertStrictEquals(status, 0, stderr);
    assertMatch(stdout, prints);
  },
});

/** An example of a server: the answer to a line. */
const server = (prints: RegExp): Entry => ({
  first: "env CERTFILE=cert.pem KEYFILE=key.pem \\",
  replace: [["8443", "@PORT"]],
  serves: async (t, port) => assertMatch(await said(t, port, "hello\n"), prints),
});

tryBlocks("sslclient.1", examples("sslclient.1"), [
  server(/^hello\n$/),
  client("sslclient -v -a cert.pem localhost 8443 \\", ["cat"], /^hello\n$/),
  client(
    "sslclient -s -a cert.pem localhost 8443 \\",
    ["cat"],
    /^server at 127\.0\.0\.1, TLSv1\.3\n$/,
  ),
  client("sslclient -XN -s localhost 8443 \\", ["cat"], /^sha256 Fingerprint=[0-9A-F:]{95}\n$/),
]);

tryBlocks("sslcat.1", examples("sslcat.1"), [
  server(/^[^\n]*20\d\d[^\n]*\n$/),
  client("sslcat localhost 8443 -a cert.pem", ["date"], /20\d\d/),
]);

tryBlocks("sslconnect.1", examples("sslconnect.1"), [
  server(/^hello\n$/),
  client("echo hello | sslconnect localhost 8443 -a cert.pem", ["cat"], /^hello\r\n$/),
]);

tryBlocks("https@.1", examples("https@.1"), [
  server(/^HTTP\/1\.0 200 OK\r\n\r\nhello\r\n$/),
  client(
    "https@ localhost index.html 8443 -a cert.pem",
    ["printf", "HTTP/1.0 200 OK\\r\\n\\r\\nhello\\r\\n"],
    /^hello\n$/,
  ),
]);

tryBlocks("tcprules.1", examples("tcprules.1"), [{
  first: "tcprules rules.cdb rules.tmp <<'END'",
  ends: async (t, { status, stderr }) => {
    assertEquals([status, stderr], [0, ""]);
    for (const [ip, words] of [["10.1.2.3", /="?100/], ["192.0.2.66", /deny/]] as const) {
      const outcome = await t.run(`${t.dir}/bin/tcprulescheck`, [`${t.dir}/rules.cdb`], {
        env: { TCPREMOTEIP: ip },
      });
      assertMatch(new TextDecoder().decode(outcome.stdout), words);
    }
  },
}]);

tryBlocks("tcprulescheck.1", examples("tcprulescheck.1"), [{
  first: `printf '127.:allow,GREETING="hello"\\n:deny\\n' | tcprules rules.cdb rules.tmp`,
  ends: (_t, { status, stdout }) => {
    assertStrictEquals(
      stdout,
      "rule 127.:\nset environment variable GREETING=hello\nallow connection\n" +
        "rule :\ndeny connection\n",
    );
    assertStrictEquals(status, 0);
  },
}]);

tryBlocks("ucspi-tls.7", examples("ucspi-tls.7"), [
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem UCSPITLS=1 \\",
    replace: [["2525", "@PORT"]],
    serves: async (_t, port) => {
      const { clear, secret } = await startTls(port, "smtp", "QUIT\r\n");
      assertMatch(clear, /^220 [\s\S]*\n220 /);
      assertMatch(secret, /^221 /m);
    },
  },
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem \\",
    replace: [["2526", "@PORT"]],
    serves: async (_t, port) => {
      const { clear, secret } = await startTls(port, "line", "hello\n");
      assertStrictEquals(clear, "say STARTTLS\ngo ahead\n");
      assertStrictEquals(secret, "hello\n");
    },
  },
]);

for (const [i, page] of PAGES.entries()) {
  claim(`--man ${page} prints the page without any other program`, async (t) => {
    const { file } = MANUAL[page];
    const [command = "", ...options] = formCommand(t.form, "cat");
    const { status, stdout } = await t.run(command, [...options, "--man", ...i > 0 ? [page] : []]);
    assertStrictEquals(status, 0);
    const text = fs.readFileSync(join(ROOT, "man/text", `${file}.txt`), "utf8");
    assertStrictEquals(new TextDecoder().decode(stdout), text);
  });
}

claim("--man on a terminal is shown by mandoc or man, and printed without them", async (t) => {
  const command = formCommand(t.form, "mandoc").map((word) => `'${word}'`).join(" ");
  const shown = async (path: string): Promise<string> => {
    const line = `PATH=${path} ${command} --man tcprulescheck`;
    const { stdout } = await t.run("script", ["-qec", line, "/dev/null"], {
      env: { PAGER: "cat" },
    });
    return new TextDecoder().decode(stdout);
  };
  // deno-lint-ignore no-control-regex
  assertMatch(await shown("/usr/bin:/bin"), /N\x08NA\x08AM\x08ME\x08E/);
  assertMatch(await shown("/nowhere"), /^NAME\r?$/m);
});

claim("--completion prints what is in completions/", async (t) => {
  for (const [shell, file] of [["bash", "sslserver.bash"], ["zsh", "_sslserver"]] as const) {
    const [command = "", ...options] = formCommand(t.form, "cat");
    const { stdout } = await t.run(command, [...options, "--completion", shell]);
    const text = fs.readFileSync(join(ROOT, "completions", file), "utf8");
    assertStrictEquals(new TextDecoder().decode(stdout), text);
  }
});
