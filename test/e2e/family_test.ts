/** Behaviour that scripts written for ucspi-ssl's sslserver rely on, by its man page: the program's
 *  environment, exit codes, -c, -w, -z, -B and -3. A row has a server's arguments and the expected result. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { openssl, type Pair, selfSigned } from "./certificates.ts";
import { talk } from "./clients.ts";
import { claim, type StartOptions, type Trial, WITH_FFI } from "./harness.ts";

/** Prints the variables that the server sets for the program, sorted. Ports differ between runs. */
const VARIABLES = [
  "sh",
  "-c",
  "env | grep -E '^(PROTO|SSL|TCP|GONE|KEYFILE|CERTFILE)' | sed -E 's/PORT=[0-9]+$/PORT=n/' | sort",
];
const INHERITED = {
  TCPREMOTEINFO: "root",
  SSLREMOTEINFO: "root",
  TCPREMOTEHOST: "forged",
  SSL_PROTOCOL: "x",
};
const SSL = [
  "SSLLOCALHOST=0",
  "SSLLOCALIP=127.0.0.1",
  "SSLLOCALPORT=n",
  "SSLREMOTEIP=127.0.0.1",
  "SSLREMOTEPORT=n",
];
const TCP = SSL.map((line) => line.replace("SSL", "TCP"));
const SSL6 = SSL.map((line) => line.replace("127.0.0.1", "::1"));
const TCP6 = ["TCP", "TCP6"].flatMap((name) => SSL6.map((line) => line.replace("SSL", name)));

interface Environment {
  what: string;
  options: string[];
  host?: string;
  lines: string[];
}

const ENVIRONMENTS: readonly Environment[] = [
  { what: "the default, -E and -S", options: ["-ES"], lines: ["PROTO=TLS", ...SSL] },
  { what: "-e", options: ["-e"], lines: ["PROTO=TCP", ...SSL, ...TCP] },
  {
    what: "-e, an IPv6 client",
    options: ["-e"],
    host: "::1",
    lines: ["PROTO=TCP6", ...SSL6, ...TCP6],
  },
];

claim("environment: unknown values are unset, even if they were inherited", async (t) => {
  for (const { what, options, host = "127.0.0.1", lines } of ENVIRONMENTS) {
    const server = await t.start({
      options: ["-HRl0", ...options],
      host,
      program: VARIABLES,
      env: INHERITED,
    });
    const { text } = await talk(t, server, "", host === "::1" ? ["-6"] : []);
    assertEquals(text.trimEnd().split("\n").sort(), [...lines].sort(), what);
  }
});

/** Starts that fail, with their exit codes: 100 for wrong usage, 111 when a file or the system refuses. */
const ENDS: readonly (readonly [code: number, start: StartOptions, says: RegExp])[] = [
  [100, { options: ["-k"] }, /unknown option -k/],
  [100, { options: ["-c", "0"] }, /option -c .*'0'/],
  [100, { options: ["-w", "-1"] }, /option -w .*'-1'/],
  [100, { options: ["-U"] }, /\$UID/],
  [111, { selfSigned: false }, /unable to /],
  [111, { env: { CERTFILE: "/nonexistent.pem" } }, /unable to read .*\/nonexistent\.pem/],
  [111, { options: ["-z"], env: { CAFILE: "/nonexistent.pem" } }, /\/nonexistent\.pem/],
  [111, { host: "192.0.2.1" }, /unable to listen on 192\.0\.2\.1/],
  [111, { options: ["-3"], prelude: "exec 3<&-" }, /descriptor 3|-3/],
];

claim("exit codes: 100 for usage, 111 for files and system, 0 after SIGTERM", async (t) => {
  await Promise.all(ENDS.map(async ([code, start, says]) => {
    const outcome = await t.fails(start);
    const what = `${JSON.stringify(start)}: ${outcome.stderr}`;
    assertStrictEquals(outcome.status, code, what);
    assertMatch(outcome.stderr, says, what);
    assertStrictEquals(outcome.stdout.length, 0, what);
  }));
  const server = await t.start();
  server.signal("SIGTERM");
  assertStrictEquals((await server.exited).status, 0);
});

claim(
  "-c 1, -B and -w: one program at a time, the banner first, an end after silence",
  async (t) => {
    const server = await t.start({
      options: ["-vHRl0", "-c", "1", "-B", "220 ready\r\n", "-w", "1"],
      program: ["sh", "-c", "echo $PROTO; exec cat"],
    });
    const begun = performance.now();
    const talks = await Promise.all([1, 2].map(() => talk(t, server, "", ["-e", "stay"])));
    for (const { text, end } of talks) {
      assertStrictEquals(text, "220 ready\r\nTLS\n");
      assertStrictEquals(end, "close_notify");
    }
    // The second connection waits until -w has ended the first.
    assert(performance.now() - begun > 1900, `${performance.now() - begun} ms`);
    await server.waitFor(/^sslserver: ended by/, 2);
    assertEquals(server.lines(/^sslserver: status: ([2-9]|[0-9]{2,})\//), []);
    assertStrictEquals(server.count("error: "), 0, server.log());
  },
  { together: true },
);

const SHOW =
  'echo "$SSL_CLIENT_VERIFY ${KEYFILE-unset} $(test -e /dev/fd/3 || echo no descriptor 3)"';

claim(
  "-3 and -z: the password up to its NUL opens the key, and a certificate is required",
  async (t) => {
    const pair = await selfSigned(t, "visitor");
    const env = {
      CERTFILE: pair.certificate,
      KEYFILE: await locked(t, pair),
      CAFILE: pair.certificate,
    };
    const prelude = `exec 3<${join(t.dir, "password")}`;
    const server = await t.start({
      options: ["-3zsvHRl0"],
      env,
      prelude,
      program: ["sh", "-c", SHOW],
    });
    const none = await talk(t, server);
    assertStrictEquals(none.text, "");
    await server.waitFor(
      /^sslserver: error: unable to accept TLS from: .* peer did not return a cert/,
    );
    const shown = ["-c", pair.certificate, "-k", pair.key];
    const { text } = await talk(t, server, "", shown);
    assertStrictEquals(text, "SUCCESS unset no descriptor 3\n");
    assertStrictEquals(server.lines(/^sslserver: ok /).length, 1);
  },
  { forms: WITH_FFI },
);

/** Encrypts the key, and writes its password to a file `password`. */
async function locked(t: Trial, { key }: Pair): Promise<string> {
  const path = join(t.dir, "locked.key");
  const args = ["pkcs8", "-topk8", "-in", key, "-passout", "pass:two words", "-out", path];
  await openssl(t, ...args);
  fs.writeFileSync(join(t.dir, "password"), "two words\0three");
  return path;
}
