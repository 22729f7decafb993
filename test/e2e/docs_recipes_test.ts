/** The recipes in docs/recipes/ work as they stand: for each page, its commands run in their order in one folder, as a
 *  reader runs them, with the examples that `--example` prints. Only what depends on the machine is replaced. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { createServer, type Server as TcpServer } from "node:net";
import { test } from "node:test";
import { selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { isRoot, needsRoot, ROOT, settled, type Trial } from "./harness.ts";
import { contained, processesOf, superviseRunit, superviseS6 } from "./recipe_supervisors.ts";
import { type Recipe, type Run, tryRecipe } from "./recipes.ts";

/** The TCP services behind a recipe's server. */
const services = new WeakMap<Trial, TcpServer>();

/** Starts a TCP service in place of the one on the port `written`. It sends `answer` after the first bytes, and ends. */
const service = (written: string, answer: Uint8Array | string) => async (t: Trial, run: Run) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  });
  services.set(t, server);
  await new Promise<void>((resolve) => server.listen(run.port(written), "127.0.0.1", resolve));
};
const endService = (t: Trial): void => void services.get(t)?.close();

/** Replaces a certificate and its key by those of another self-signed one, in this order. */
type Replace = (certificate: string, key: string) => void;

/** The subject of the certificate that clients get. */
async function shown(t: Trial, port: number): Promise<string> {
  const { stdout } = await t.run("openssl", ["s_client", "-connect", `127.0.0.1:${port}`]);
  return /^subject.*$/m.exec(new TextDecoder().decode(stdout))?.[0] ?? "";
}

/** Renews by `replace`. Asserts that clients get the new certificate, from the server that they had before. */
async function renewed(t: Trial, port: number, name: string, replace: Replace): Promise<void> {
  const { certificate, key } = await selfSigned(t, name);
  replace(certificate, key);
  const now = await settled(() => shown(t, port), (subject) => subject.includes(name));
  assertMatch(now, new RegExp(name));
}

const HTTP = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

const RECIPES: readonly Recipe[] = [
  {
    page: "container",
    ports: ["8993"],
    skip: needsRoot,
    steps: [
      {
        first: "sslserver --example container > Containerfile",
        writes: ["Containerfile"],
        then: (t, run) => contained(t, run.port("8993")),
      },
      {
        first:
          "(echo hello; sleep 1) | openssl s_client -quiet -no_ign_eof -connect localhost:8993",
        prints: /^hello\n$/,
      },
    ],
    after: (t) => processesOf(t)?.end(),
  },
  {
    page: "dns",
    ports: ["853", "53"],
    before: service("53", new Uint8Array(45)),
    after: endService,
    steps: [
      { first: "sslserver --example dot > dot", writes: ["dot"] },
      { first: "./dot", serves: "853" },
      {
        first: String.raw`printf '\0\33\0\1\1\0\0\1\0\0\0\0\0\0\11localhost\0\0\1\0\1' |`,
        prints: /^45\n$/,
      },
    ],
  },
  {
    page: "gemini",
    ports: ["1965"],
    replace: [["/srv/gemini", "@DIR/pages"]],
    before: (t) => {
      fs.mkdirSync(join(t.dir, "pages"));
      fs.writeFileSync(join(t.dir, "pages/index.gmi"), "# Welcome\n");
    },
    steps: [
      { first: "sslserver --example gemini > gemini.ts" },
      {
        first:
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=gem.example \\",
      },
      { first: "env CERTFILE=gem.pem KEYFILE=gem.key CCAFILE=/dev/null \\", serves: "1965" },
      {
        first: String
          .raw`printf 'gemini://gem.example/\r\n' | openssl s_client -quiet -connect localhost:1965 -servername gem.example`,
        prints: /^20 text\/gemini\r\n# Welcome\n$/,
      },
      {
        first:
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=me -keyout me.key -out me.pem",
        prints: /^20 text\/gemini\r\nYou are [0-9a-f]{64}\n$/,
      },
    ],
  },
  {
    page: "haproxy",
    ports: ["465", "4465"],
    programs: { smtpd: 'read -r x; echo "$SSLREMOTEIP by $PROXY_IP"' },
    steps: [
      { first: "sslserver --example haproxy > haproxy.cfg" },
      {
        first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\",
        replace: [["10.0.0.1", "127.0.0.1"]],
        serves: "4465",
      },
      {
        first:
          "SERVICE=127.0.0.1:465 ONE=127.0.0.1:4465 TWO=127.0.0.1:4465 haproxy -db -f haproxy.cfg",
        serves: "465",
      },
      {
        first: "echo QUIT | openssl s_client -quiet -connect localhost:465",
        prints: /^127\.0\.0\.1 by 127\.0\.0\.1\n$/,
      },
    ],
  },
  {
    page: "https",
    ports: ["443"],
    steps: [
      { first: "sslserver --example https > page.ts" },
      { first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\", serves: "443" },
      {
        first: "curl -k https://localhost:443/",
        prints: /^you are 127\.0\.0\.1 port [0-9]+, by TLSv1\.3 with TLS_\w+\n$/,
      },
    ],
  },
  {
    page: "jail",
    ports: ["7007"],
    skip: needsRoot,
    replace: [["/srv/jail", "@DIR/jail"], ["SSL_CHROOT=/var/empty", "SSL_CHROOT=@DIR/empty"]],
    before: (t) => fs.mkdirSync(join(t.dir, "empty")),
    steps: [
      { first: "sslserver --example jail > jail.run", writes: ["jail.run"] },
      { first: "mkdir -p /srv/jail/bin" },
      { first: "./jail.run", serves: "7007" },
      {
        first: "echo | openssl s_client -quiet -connect localhost:7007",
        prints: /^in the jail: \/bin \/lib/,
      },
    ],
  },
  {
    page: "limits",
    ports: ["465", "9100"],
    programs: { smtpd: 'echo started >>"$(dirname "$0")/started"; exec cat' },
    before: (t) => {
      fs.writeFileSync(join(t.dir, "bin/started"), "");
      fs.chmodSync(join(t.dir, "bin/started"), 0o666);
    },
    steps: [
      { first: "sslserver --example limits > limits", writes: ["limits"] },
      {
        first: String.raw`printf '192.0.2.:deny\n198.51.100.0/24:deny\n:allow\n' |`,
      },
      { first: "./limits", serves: "465" },
      {
        first:
          "for i in 1 2 3 4 5; do sleep 5 | openssl s_client -quiet -no_ign_eof -connect localhost:465 & done",
        // Waits for events in place of time: five programs run, and the sixth client is done.
        replace: [
          ["sleep 5", "until [ -e done ]; do sleep 0.05; done"],
          ["sleep 2\n", 'until [ "$(wc -l <bin/started)" = 5 ]; do sleep 0.05; done\n'],
          ["</dev/null", "</dev/null; status=$?; touch done; exit $status"],
        ],
        status: 1,
        then: (_t, run) =>
          assertMatch(run.log(), /ip connection limit of 5 exceeded for: 127\.0\.0\.1$/m),
      },
      {
        first: "curl -s http://127.0.0.1:9100/metrics | grep denied",
        prints: /^sslserver_\w+\{.*denied.*\} 1$/m,
      },
    ],
  },
  {
    page: "mail",
    ports: ["465", "25"],
    programs: {
      smtpd: "printf '220 mx\\r\\n'; read -r x; echo \"250 $TCPREMOTEIP ${RELAYCLIENT-no}\"",
    },
    steps: [
      { first: "sslserver --example smtps > smtps", writes: ["smtps"] },
      {
        first: String
          .raw`printf '127.:allow,RELAYCLIENT=""\n10.:allow,RELAYCLIENT=""\n192.0.2.:deny\n:allow\n' |`,
      },
      { first: "./smtps", serves: "465" },
      {
        first: String
          .raw`printf 'EHLO me.example\r\nQUIT\r\n' | openssl s_client -quiet -connect localhost:465`,
        prints: /^220 mx\r\n250 127\.0\.0\.1 \n$/,
      },
      { first: "sslserver --example starttls > starttls", writes: ["starttls"] },
      { first: "./starttls", serves: "25" },
      {
        first: String
          .raw`printf 'QUIT\r\n' | openssl s_client -quiet -starttls smtp -connect localhost:25`,
        prints: /^(?:250 .*\r\n)?221 .*\r\n$/,
      },
    ],
  },
  {
    page: "mutual-tls",
    ports: ["8443"],
    steps: [
      { first: "cat > ca.cnf <<'END'" },
      {
        first:
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=our authority' \\",
        // The test's folder is the folder of the server's files, too.
        replace: [["install -m 644 ca.pem crl.pem /etc/sslserver/", ":"]],
      },
      {
        first:
          "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=alice -keyout alice.key -out alice.csr",
      },
      { first: "sslserver --example mtls > mtls", writes: ["mtls"] },
      { first: "./mtls", serves: "8443" },
      {
        first: "openssl s_client -quiet -connect localhost:8443 -cert alice.pem -key alice.key",
        prints: /^hello alice\n/,
      },
      {
        first: "openssl s_client -quiet -connect localhost:8443",
        status: 1,
        prints: /^$/,
      },
      {
        first: "openssl ca -config ca.cnf -revoke alice.pem",
        replace: [["install -m 644 crl.pem /etc/sslserver/", ":"]],
        then: async (t, run) => {
          const files = ["-cert", join(t.dir, "alice.pem"), "-key", join(t.dir, "alice.key")];
          const where = ["s_client", "-quiet", "-connect", `127.0.0.1:${run.port("8443")}`];
          const ask = async () =>
            new TextDecoder().decode(
              (await t.run("openssl", [...where, ...files], { input: "x" })).stdout,
            );
          assertStrictEquals(await settled(ask, (text) => text === ""), "");
          await settled(() => run.log(), (log) => /revoked/.test(log));
          assertMatch(run.log(), /revoked/);
        },
      },
    ],
  },
  {
    page: "pop3-imap",
    ports: ["995"],
    skip: needsRoot,
    replace: [["SSL_CHROOT=/var/empty", "SSL_CHROOT=@DIR/empty"]],
    before: (t) => fs.mkdirSync(join(t.dir, "empty")),
    programs: { "qmail-popup": 'read -r x; echo "+OK $(id -u) $*"' },
    steps: [
      { first: "sslserver --example pop3s > pop3s", writes: ["pop3s"] },
      { first: "./pop3s", serves: "995" },
      {
        first: String.raw`printf 'QUIT\r\n' | openssl s_client -quiet -connect localhost:995`,
        prints: /^\+OK 0 mx\.example checkpassword qmail-pop3d Maildir\n$/,
      },
    ],
  },
  {
    page: "renewal",
    ports: ["465"],
    programs: { smtpd: "exec cat" },
    replace: [["/etc/letsencrypt", "@DIR/letsencrypt"], ["group=mail", "group=$(id -g)"]],
    before: async (t) => {
      const at = join(t.dir, "letsencrypt");
      for (const folder of ["archive", "live"]) {
        fs.mkdirSync(join(at, folder, "mx.example"), { recursive: true, mode: 0o700 });
      }
      fs.mkdirSync(join(at, "renewal-hooks/deploy"), { recursive: true });
      const { certificate, key } = await selfSigned(t, "first.example");
      keep(t, 1)(certificate, key);
    },
    steps: [
      {
        first: "env CERTFILE=/etc/letsencrypt/live/mx.example/fullchain.pem \\",
        serves: "465",
        then: async (t, run) => {
          assertMatch(await shown(t, run.port("465")), /first\.example/);
          await renewed(t, run.port("465"), "second.example", keep(t, 2));
        },
      },
      {
        first: "sslserver --example certbot > /etc/letsencrypt/renewal-hooks/deploy/mx",
        writes: ["letsencrypt/renewal-hooks/deploy/mx"],
      },
      {
        first:
          "RENEWED_LINEAGE=/etc/letsencrypt/live/mx.example /etc/letsencrypt/renewal-hooks/deploy/mx",
        then: async (t) => {
          const [own, theirs] = [join(t.dir, "cert.pem"), join(t.dir, "letsencrypt/archive")];
          assertEquals(
            fs.readFileSync(own, "utf8"),
            fs.readFileSync(join(theirs, "mx.example/fullchain2.pem"), "utf8"),
          );
          assertStrictEquals(fs.statSync(join(t.dir, "key.pem")).mode & 0o777, 0o640);
          // acme.sh writes one file after the other, in place.
          const key = join(t.dir, "key.pem");
          const server = await t.start({ env: { CERTFILE: own, KEYFILE: key } });
          await renewed(t, server.port, "third.example", (newCertificate, newKey) => {
            fs.writeFileSync(own, fs.readFileSync(newCertificate));
            fs.writeFileSync(key, fs.readFileSync(newKey));
          });
        },
      },
      {
        first:
          "openssl s_client -connect localhost:465 </dev/null 2>/dev/null | openssl x509 -noout -dates",
        prints: /^notBefore=.*\nnotAfter=.*\n$/,
      },
    ],
  },
  {
    page: "runit",
    ports: ["993"],
    skip: needsRoot,
    programs: { imapd: "exec cat" },
    replace: [
      ["/usr/sbin/imapd", "@DIR/bin/imapd"],
      ["/etc/sv", "@DIR/sv"],
      ["/etc/service", "@DIR/service"],
    ],
    before: (t) => superviseRunit(t),
    after: (t) => processesOf(t)?.end(),
    steps: [
      { first: "mkdir -p /etc/sv/imaps", writes: ["sv/imaps/run"] },
      {
        first: "ln -s /etc/sv/imaps /etc/service/imaps",
        then: (_t, run) => run.listens("993"),
      },
      { first: "sv check /etc/service/imaps", prints: /^ok: run: / },
    ],
  },
  {
    page: "s6",
    ports: ["993"],
    skip: needsRoot,
    programs: { imapd: "exec cat" },
    replace: [
      ["/usr/sbin/imapd", "@DIR/bin/imapd"],
      ["/etc/s6", "@DIR/s6"],
      ["/run/service", "@DIR/service"],
    ],
    before: (t) => superviseS6(t),
    after: (t) => processesOf(t)?.end(),
    steps: [
      { first: "mkdir -p /etc/s6/imaps", writes: ["s6/imaps/run"] },
      { first: "ln -s /etc/s6/imaps /run/service/imaps" },
      { first: "until s6-svok /run/service/imaps; do sleep 0.1; done" },
    ],
  },
  {
    page: "systemd",
    ports: ["993", "8443"],
    programs: { imapd: "exec cat", systemctl: 'echo "$*" >>systemctl.log' },
    replace: [
      ["/etc/systemd/system/", "@DIR/"],
      ["/usr/local/bin/sslserver", "@DIR/bin/sslserver"],
      ["/usr/sbin/imapd", "@DIR/bin/imapd"],
      ["/run/imaps", "@DIR/jail"],
    ],
    steps: [
      {
        first: "sslserver --example systemd > /etc/systemd/system/imaps.service",
        writes: ["imaps.service", "imaps.socket"],
      },
      {
        first:
          "systemd-analyze verify --man=no /etc/systemd/system/imaps.service /etc/systemd/system/imaps.socket",
        then: (_t, _run, outcome) => assertStrictEquals(outcome?.stderr, ""),
      },
      {
        first: "install -d -m 755 /run/imaps",
        replace: isRoot ? [] : [[/SSL_UID=\d+ SSL_GID=\d+ SSL_CHROOT=\S+ /g, ""]],
        prints: /^The server would work$/m,
      },
      {
        first: "systemctl daemon-reload",
        // test/interop/handover_test.ts starts the unit's command on a socket.
        then: (t, run) => t.start({ port: run.port("993"), program: ["echo", "hello"] }),
      },
      {
        first: "systemctl status imaps.service",
        then: (t) =>
          assertStrictEquals(
            fs.readFileSync(join(t.dir, "systemctl.log"), "utf8"),
            "daemon-reload\nenable --now imaps.socket\nstatus imaps.service\n",
          ),
      },
      {
        first:
          "systemd-socket-activate -l 127.0.0.1:8443 sslserver --self-signed -v 127.0.0.1 8443 cat",
        serves: "8443",
        then: async (t, run) =>
          assertStrictEquals((await talk(t, run.port("8443"), "hello\n")).text, "hello\n"),
      },
    ],
  },
  {
    page: "tcp-port",
    ports: ["8443", "8444", "8080"],
    before: service("8080", HTTP),
    after: endService,
    steps: [
      { first: "sslserver --example proxy > proxy", writes: ["proxy"] },
      { first: "./proxy", serves: "8443" },
      {
        first: String
          .raw`printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect localhost:8443`,
        prints: /\r\nhello\n$/,
      },
      { first: "sslserver --example proxy-module > proxy.ts" },
      { first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\", serves: "8444" },
      { first: "curl -k https://localhost:8444/", prints: /^hello\n$/ },
    ],
  },
];

/** Stores a renewed pair as certbot does: new files in archive/, then new links in live/, one after the other. */
function keep(t: Trial, version: number): Replace {
  return (certificate, key) => {
    for (const [name, from] of [["fullchain", certificate], ["privkey", key]] as const) {
      const at = join(t.dir, "letsencrypt");
      const link = join(at, `live/mx.example/${name}.pem`);
      fs.copyFileSync(from, join(at, `archive/mx.example/${name}${version}.pem`));
      fs.rmSync(link, { force: true });
      fs.symlinkSync(`../../archive/mx.example/${name}${version}.pem`, link);
    }
  };
}

for (const recipe of RECIPES) tryRecipe(recipe);

test("every page has its commands tested, and the index has every page", () => {
  const folder = join(ROOT, "docs/recipes");
  const pages = fs.readdirSync(folder).filter((name) => name !== "README.md").sort();
  assertEquals(pages, RECIPES.map(({ page }) => `${page}.md`).sort());
  const index = fs.readFileSync(join(folder, "README.md"), "utf8");
  for (const page of pages) assert(index.includes(`](${page})`), page);
});
