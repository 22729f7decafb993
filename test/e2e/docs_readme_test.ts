/** Every command in README.md and in the pages of docs/ for operators does what the text says. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { ROOT, type Trial } from "./harness.ts";
import { asUser, fenced, hasWorkers, JAIL, makeJail, ROOTS, said, tryBlocks } from "./docs.ts";

const FILES = [["/etc/ssl/mx.pem", "cert.pem"], ["/etc/ssl/mx.key", "key.pem"]] as const;

tryBlocks("README.md", fenced("README.md"), [
  {
    first: "sha256sum -c --ignore-missing SHA256SUMS",
    forms: ["binary"],
    before: async (t) => {
      // An archive in the form of a release, and the sum of another one that was not downloaded.
      const [folder, archive] = ["sslserver-1.0.0-linux-x64", "sslserver-1.0.0-linux-x64.tar.gz"];
      fs.mkdirSync(join(t.dir, folder, "bin"), { recursive: true });
      fs.mkdirSync(join(t.dir, "root"));
      fs.writeFileSync(join(t.dir, folder, "bin/sslserver"), "#!/bin/sh\necho it runs\n", {
        mode: 0o755,
      });
      await t.run("tar", ["-C", t.dir, "-czf", join(t.dir, archive), folder]);
      const { stdout } = await t.run("sha256sum", [join(t.dir, archive)]);
      const sum = new TextDecoder().decode(stdout).slice(0, 64);
      const other = `${"0".repeat(64)}  sslserver-1.0.0-darwin-x64.tar.gz\n`;
      fs.writeFileSync(join(t.dir, "SHA256SUMS"), `${sum}  ${archive}\n${other}`);
    },
    replace: [["/usr/local", "root"]],
    ends: async (t, { status, stdout }) => {
      assertEquals([status, stdout], [0, "sslserver-1.0.0-linux-x64.tar.gz: OK\n"]);
      const run = await t.run(join(t.dir, "root/bin/sslserver"), []);
      assertStrictEquals(new TextDecoder().decode(run.stdout), "it runs\n");
    },
  },
  {
    first: "install -D -m 755 sslserver-*-linux-x64 /usr/local/bin/sslserver",
    forms: ["binary"],
    before: (t) =>
      fs.promises.copyFile(join(ROOT, "dist/sslserver"), join(t.dir, "sslserver-1.0.0-linux-x64")),
    replace: [["/usr/local", "root"]],
    ends: async (t, { status, stderr }) => {
      assertEquals([status, stderr], [0, ""]);
      for (const name of ["sslserver", "s6-tlsserver", "s_server", "https@", "sslcat"]) {
        const { stdout } = await t.run(join(t.dir, "root/bin", name), ["--help"]);
        assertMatch(new TextDecoder().decode(stdout), new RegExp(`^usage: ${name} `));
      }
    },
  },
  {
    first: "install -D -m 644 -t /usr/local/share/man/man1 man/*.1",
    forms: ["binary"],
    replace: [["/usr/local", "$HOME/root"], ["man/*", `${ROOT}/man/*`]],
    ends: (t, { status, stderr }) => {
      assertEquals([status, stderr], [0, ""]);
      const share = join(t.dir, "root/share");
      const same = (installed: string, source: string): void =>
        assertStrictEquals(
          fs.readFileSync(join(share, installed), "utf8"),
          fs.readFileSync(join(ROOT, source), "utf8"),
        );
      same("man/man1/sslserver.1", "man/sslserver.1");
      same("man/man7/ucspi-tls.7", "man/ucspi-tls.7");
      same("bash-completion/completions/sslserver", "completions/sslserver.bash");
      same("zsh/site-functions/_sslserver", "completions/_sslserver");
      same("fish/vendor_completions.d/sslserver.fish", "completions/sslserver.fish");
      same("bash-completion/completions/https@", "completions/sslserver.bash");
      same("fish/vendor_completions.d/https@.fish", "completions/sslserver.fish");
    },
  },
  {
    first:
      `./compile.sh && ./dist/sslserver --self-signed -v 127.0.0.1 8443 sh -c 'echo "hello $SSLREMOTEIP"; cat'`,
    // The block compiles the program; here into the folder of the test.
    forms: ["binary"],
    replace: [["./compile.sh", `DIST=built '${ROOT}/compile.sh'`], ["./dist/", "./built/"], [
      "8443",
      "@PORT",
    ]],
    serves: async (t, port) =>
      assertStrictEquals(await said(t, port, "x\n"), "hello 127.0.0.1\nx\n"),
  },
  {
    first: `sslserver --self-signed -v 127.0.0.1 8443 sh -c 'echo "hello $SSLREMOTEIP"; cat'`,
    replace: [["8443", "@PORT"]],
    serves: async (t, port) =>
      assertStrictEquals(await said(t, port, "x\n"), "hello 127.0.0.1\nx\n"),
  },
  {
    first: "openssl s_client -quiet -connect 127.0.0.1:8443",
    // The client for the server of the previous block.
    before: (t, port) => t.start({ port, program: ["echo", "hello"] }),
    replace: [["8443", "@PORT"]],
    ends: (_t, { stdout }) => assertStrictEquals(stdout, "hello\n"),
  },
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\",
    replace: [...FILES, ["465", "@PORT"], asUser("-u 1000 -g 1000")],
    programs: { smtpd: "echo $SSLLOCALHOST; id -u" },
    serves: async (t, port) => {
      assertStrictEquals(await said(t, port), `mx.example\n${process.getuid?.() || 1000}\n`);
    },
  },
  {
    first: "exec env CERTFILE=/etc/ssl/mx.pem CERTFILE:imap.example=/etc/ssl/imap.pem \\",
    replace: [...FILES, ["/etc/ssl/imap.pem", "ca.pem"], ["/etc/ssl/imap.key", "ca.key"], [
      "993",
      "@PORT",
    ]],
    programs: { imapd: "echo imap" },
    serves: async (t, port) => {
      assertMatch(await shown(t, port, "imap.example"), /CN ?= ?authority/);
      assertMatch(await shown(t, port, "other.example"), /CN ?= ?server/);
    },
  },
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\",
    forms: ROOTS,
    before: makeJail,
    replace: [...FILES, ["465", "@PORT"], JAIL],
    programs: { smtpd: "id -u" },
    serves: async (t, port) => {
      assertStrictEquals(await said(t, port), "1000\n");
      // Uid 1 is Debian's daemon.
      await hasWorkers(t, Array.from({ length: availableParallelism() }, () => "1"));
    },
  },
  {
    first: `printf '127.:allow,GREETING="hello"\\n:deny\\n' | tcprules rules.cdb rules.tmp`,
    ends: (_t, { stdout }) => {
      assertMatch(stdout, /^rule 127.:\n.*GREETING=hello\nallow connection\n$/);
    },
  },
]);

tryBlocks("docs/operations.md", fenced("docs/operations.md"), [
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\",
    replace: [...FILES, ["465", "@PORT"], asUser("-u 1000 -g 1000")],
    programs: { smtpd: "cat" },
    ends: (t, { status, stdout }) => {
      const wrong = stdout.split("\n").filter((line) => /^(warning|error): /.test(line));
      // Under Deno the check warns if workers and programs are one user. Only root can set another.
      const shared = t.form === "deno" && process.getuid?.() === 0;
      const others = wrong.filter((line) => !shared || !/programs run as the same user/.test(line));
      assertEquals([status, others], [shared ? 1 : 0, []], stdout);
    },
  },
]);

tryBlocks("docs/deno.md", fenced("docs/deno.md"), [
  {
    first: "CERTFILE=cert.pem KEYFILE=key.pem deno run --v8-flags=--max-semi-space-size=1 \\",
    forms: ["deno"],
    replace: [["cli.ts", join(ROOT, "cli.ts")], ["8443", "@PORT"]],
    serves: async (t, port) => {
      assertStrictEquals(await said(t, port, "hello\n"), "hello\n");
      await hasWorkers(t, [String(process.getuid?.())]);
    },
  },
]);

/** The subject of the certificate that a client gets with this server name. */
async function shown(t: Trial, port: number, name: string): Promise<string> {
  const where = ["-connect", `127.0.0.1:${port}`, "-servername", name];
  const { stdout } = await t.run("openssl", ["s_client", ...where]);
  return /^subject.*$/m.exec(new TextDecoder().decode(stdout))?.[0] ?? "";
}
