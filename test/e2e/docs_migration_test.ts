/** Every sslserver command in MIGRATION.md runs and serves. */

import { assertMatch, assertStrictEquals } from "@std/assert";
import { talk } from "./clients.ts";
import { isRoot } from "./harness.ts";
import { asUser, fenced, said, saidToVisitor, tryBlocks } from "./docs.ts";

const FILES = [["/etc/ssl/mx.pem", "cert.pem"], ["/etc/ssl/mx.key", "key.pem"]] as const;
const WHO = 'echo "$SSLREMOTEIP $MAXCONIP $TCPREMOTEIP $SSL_CLIENT_VERIFY $*"';
/** Rules that the block needs but does not create. */
const RULES = [
  "env CERT",
  "printf '127.:allow\\n:deny\\n' | tcprules rules.cdb rules.tmp\nenv CERT",
] as const;
const S6_FOLDER = [
  "env CERT",
  "mkdir -p rules/ip4/127.0.0.0_8; >rules/ip4/127.0.0.0_8/allow\nenv CERT",
] as const;
const WHO_S6 = 'echo "$TCPREMOTEIP $TCPCONNNUM $TCPLOCALHOST$SSLREMOTEIP$KEYFILE"';
const ALL_OF_US = asUser("-u 1000 -g 1000");
const WORKERS = asUser("SSL_UID=65534 SSL_GID=65534");

tryBlocks("MIGRATION.md", fenced("MIGRATION.md"), [
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \\",
    replace: [RULES, ...FILES, ["995", "@PORT"], ALL_OF_US, WORKERS],
    programs: { pop3d: WHO },
    serves: async (t, port) => assertStrictEquals(await said(t, port), "127.0.0.1   NONE \n"),
  },
  {
    first: "PATH=$PWD/dist:$PATH",
    replace: [
      ["/etc/ssl/ca.pem", "cert.pem"],
      ["me.pem", "client.pem"],
      ["me.key", "client.key"],
      ["mail.example 993", "localhost @PORT"],
    ],
    before: async (t, port) => {
      const env = { CERTFILE: `${t.dir}/cert.pem`, KEYFILE: `${t.dir}/key.pem` };
      const program = ["sh", "-c", 'cat; echo "from $SSL_CLIENT_S_DN_CN"'];
      await t.start({
        port,
        env: { ...env, CCAFILE: `${t.dir}/ca.pem` },
        program,
        options: ["-s"],
      });
    },
    ends: (_t, { status, stdout, stderr }) => {
      assertStrictEquals(status, 0, stderr);
      assertStrictEquals(stdout, "hello\nfrom visitor\n");
    },
  },
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key TLS_UID=65534 TLS_GID=65534 \\",
    replace: [
      S6_FOLDER,
      ...FILES,
      ["995", "@PORT"],
      asUser("UID=1000 GID=1000 GIDLIST=1000"),
      ["-U", isRoot ? "-U" : ""],
    ],
    programs: { pop3d: WHO_S6 },
    serves: async (t, port) =>
      assertStrictEquals((await talk(t, port)).text, "127.0.0.1 0 mx.example\n"),
  },
  {
    first:
      "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key SSL_UID=65534 SSL_GID=65534 MAXCONIP=5 \\",
    replace: [
      S6_FOLDER,
      ...FILES,
      ["995", "@PORT"],
      WORKERS,
      asUser("UID=1000 GID=1000 GIDLIST=1000"),
    ],
    programs: { pop3d: WHO },
    serves: async (t, port) => assertStrictEquals(await said(t, port), "127.0.0.1 5 127.0.0.1  \n"),
  },
  {
    first: "s_server -accept 4433 -cert cert.pem -key key.pem -www",
    replace: [["4433", "@PORT"]],
    serves: async (t, port) =>
      assertMatch(await said(t, port, "GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK[^]*TLSv1\.3/),
  },
  {
    first: "env CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key CAFILE=/etc/ssl/ca.pem \\",
    replace: [
      ...FILES,
      ["/etc/ssl/ca.pem", "ca.pem"],
      ["995", "@PORT"],
      ["/usr/sbin/pop3d", "pop3d"],
      ALL_OF_US,
    ],
    programs: { pop3d: WHO },
    serves: async (t, port) => {
      assertStrictEquals(await saidToVisitor(t, port), "127.0.0.1   SUCCESS --quiet\n");
      assertStrictEquals((await talk(t, port)).text, "");
    },
  },
  {
    first: "env CERTFILE=cert.pem KEYFILE=key.pem \\",
    replace: [["8443", "@PORT"]],
    serves: async (t, port) => assertStrictEquals(await said(t, port, "hello\n"), "hello\n"),
  },
  {
    first: "sslserver --self-signed -HRl0 0 8443 cat -u",
    replace: [["8443", "@PORT"]],
    serves: async (t, port) => assertStrictEquals(await said(t, port, "hello\n"), "hello\n"),
  },
  {
    first: "printf '10.66.0.0/16:deny\\n10.0.0.0/8:allow\\n:deny\\n' | tcprules imap.cdb imap.tmp",
    // The test connects from the loopback network.
    replace: [...FILES, ["993", "@PORT"], ["10.0.0.0/8", "127.0.0.0/8"], [
      "/usr/sbin/imapd",
      "imapd",
    ], ALL_OF_US],
    programs: { imapd: WHO },
    serves: async (t, port) => assertStrictEquals(await said(t, port), "127.0.0.1 5   \n"),
  },
]);
