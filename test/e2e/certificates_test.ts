/** Certificates and keys in all supported forms, and the messages about those that cannot be used. */

import { assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import {
  agedSelfSigned,
  chain,
  concatenated,
  environmentOf,
  openssl,
  selfSigned,
} from "./certificates.ts";
import { talk } from "./clients.ts";
import { claim, needsRoot, ON_BUN, ON_DENO, type Server, type Trial } from "./harness.ts";

async function serves(t: Trial, server: Server): Promise<void> {
  const { text, end } = await talk(t, server, "hello\n");
  assertStrictEquals(text, "hello\n");
  assertStrictEquals(end, "close_notify");
}

/** Asserts that a server with these settings starts and serves a client. */
async function works(t: Trial, env: Record<string, string>, options: string[] = [], prelude = "") {
  const server = await t.start({ env, options, prelude });
  await serves(t, server);
  return server;
}

/** Asserts that a start ends with 111 before it listens, with one fatal line that matches and a remedy. */
async function refused(
  t: Trial,
  env: Record<string, string>,
  message: RegExp,
  options: string[] = [],
  prelude = "",
): Promise<void> {
  const outcome = await t.fails({ env, options, prelude, selfSigned: false });
  assertStrictEquals(outcome.status, 111, outcome.stderr);
  assertStrictEquals(outcome.stdout.length, 0, "it listened");
  const fatal = outcome.stderr.split("\n").filter((line) => line.startsWith("sslserver: fatal: "));
  assertStrictEquals(fatal.length, 1, outcome.stderr);
  assertMatch(fatal[0] ?? "", message);
}

const REMEDY = /^sslserver: info: \S/m;

/** Converts the key of a pair. */
async function converted(t: Trial, key: string, ...args: string[]): Promise<string> {
  const path = join(t.dir, `converted-${fs.readdirSync(t.dir).length}.key`);
  const [command = "", ...rest] = args;
  await openssl(t, command, "-in", key, "-out", path, ...rest);
  return path;
}

for (const type of ["ec", "rsa"] as const) {
  claim(`an ${type.toUpperCase()} key as PKCS #8, traditional and DER`, async (t) => {
    const pair = await selfSigned(t, "plain", { type });
    const traditional = await converted(
      t,
      pair.key,
      type,
      ...(type === "rsa" ? ["-traditional"] : []),
    );
    const label = type === "rsa" ? "RSA" : "EC";
    assertMatch(fs.readFileSync(traditional, "utf8"), new RegExp(`BEGIN ${label} PRIVATE KEY`));
    const der = await converted(t, pair.key, "pkcs8", "-topk8", "-nocrypt", "-outform", "DER");
    const certificateDer = join(t.dir, "certificate.der");
    await openssl(t, "x509", "-in", pair.certificate, "-outform", "DER", "-out", certificateDer);
    for (const key of [pair.key, traditional, der]) {
      const server = await works(t, { CERTFILE: pair.certificate, KEYFILE: key });
      await server.stop();
    }
    await works(t, { CERTFILE: certificateDer, KEYFILE: pair.key });
  });

  claim(`an encrypted ${type.toUpperCase()} key with its password on descriptor 3`, async (t) => {
    const pair = await selfSigned(t, "locked", { type });
    const pass = ["-passout", "pass:secret word"];
    const encrypted = await converted(
      t,
      pair.key,
      "pkcs8",
      "-topk8",
      "-v2",
      "aes-256-cbc",
      ...pass,
    );
    const old = ["-aes128", ...pass, ...(type === "rsa" ? ["-traditional"] : [])];
    const traditional = await converted(t, pair.key, type, ...old);
    assertMatch(fs.readFileSync(traditional, "utf8"), /^DEK-Info: /m);
    fs.writeFileSync(join(t.dir, "password"), "secret word\0");
    const prelude = `exec 3<${join(t.dir, "password")}`;
    if (t.form === "deno-noffi") {
      const settings = { CERTFILE: pair.certificate, KEYFILE: encrypted };
      return await refused(t, settings, /\(-3\): Deno without FFI cannot/, ["-3"], prelude);
    }
    for (const key of [encrypted, traditional]) {
      const server = await works(t, { CERTFILE: pair.certificate, KEYFILE: key }, ["-3"], prelude);
      await server.stop();
    }
    const env = { CERTFILE: pair.certificate, KEYFILE: encrypted };
    await refused(t, env, /unable to use key .*: it is encrypted/);
    fs.writeFileSync(join(t.dir, "password"), "wrong\0");
    await refused(t, env, /unable to use key .*: the password is wrong/, ["-3"], prelude);
    await refused(t, env, /password from descriptor 3/, ["-3"]);
  });
}

claim(
  "the password is read up to its NUL, and the program does not get descriptor 3",
  async (t) => {
    const pair = await selfSigned(t, "locked");
    const key = await converted(t, pair.key, "pkcs8", "-topk8", "-passout", "pass:one");
    fs.writeFileSync(join(t.dir, "password"), "one\0two\0");
    const server = await t.start({
      options: ["-3"],
      env: { CERTFILE: pair.certificate, KEYFILE: key },
      prelude: `exec 3<${join(t.dir, "password")}`,
      program: ["sh", "-c", "(cat <&3) 2>&1 | grep -c two"],
    });
    const { text } = await talk(t, server);
    assertStrictEquals(text, "0\n");
  },
  { forms: ["binary", "bun", "deno"] },
);

for (const order of ["server first", "server last"]) {
  claim(
    `a chain, ${order}: the client gets server and intermediate and trusts the root`,
    async (t) => {
      const made = await chain(t);
      const parts = [made.certificate, made.intermediate];
      const file = concatenated(
        t,
        "chain.pem",
        ...(order === "server first" ? parts : parts.reverse()),
      );
      const server = await works(t, { CERTCHAINFILE: file, KEYFILE: made.key });
      const where = ["-connect", `127.0.0.1:${server.port}`, "-CAfile", made.root];
      const outcome = await t.run("openssl", ["s_client", ...where, "-verify_return_error"]);
      assertMatch(new TextDecoder().decode(outcome.stdout), /^Verify return code: 0 \(ok\)/m);
      const { facts } = await talk(t, server);
      assertStrictEquals(facts["chain"], "2");
    },
  );
}

claim(
  "CERTCHAINFILE overrides it over CERTFILE; key and chain may share one file with any name",
  async (t) => {
    const [good, other] = [await selfSigned(t, "good"), await selfSigned(t, "other")];
    const both = concatenated(t, "::1.pem", good.key, good.certificate); // one path, not a list
    const server = await works(t, {
      CERTFILE: other.certificate,
      CERTCHAINFILE: both,
      KEYFILE: "",
    });
    const where = ["-connect", `127.0.0.1:${server.port}`];
    const outcome = await t.run("openssl", ["s_client", ...where]);
    assertMatch(new TextDecoder().decode(outcome.stdout), /subject=CN = good/);
  },
);

claim(
  "EC and RSA at once, as lists and in one file: each client gets what it can use",
  async (t) => {
    const [ec, rsa] = [await selfSigned(t, "ec"), await selfSigned(t, "rsa", { type: "rsa" })];
    const one = concatenated(t, "all.pem", ec.key, rsa.certificate, rsa.key, ec.certificate);
    for (
      const env of [
        { CERTFILE: `${ec.certificate}:${rsa.certificate}`, KEYFILE: `${ec.key}:${rsa.key}` },
        { CERTFILE: `${rsa.certificate}:${ec.certificate}`, KEYFILE: `${ec.key}:${rsa.key}` },
        { CERTFILE: one, KEYFILE: one },
      ]
    ) {
      const server = await works(t, env);
      for (
        const [algorithms, type] of [["ECDSA+SHA256", "ECDSA"], ["RSA-PSS+SHA256", "RSA"]] as const
      ) {
        for (const version of ["-tls1_2", "-tls1_3"]) {
          const where = ["-connect", `127.0.0.1:${server.port}`, "-sigalgs", algorithms, version];
          const outcome = await t.run("openssl", ["s_client", ...where]);
          const text = new TextDecoder().decode(outcome.stdout);
          assertMatch(
            text,
            new RegExp(`Peer signature type: ${type}`),
            `${version} ${algorithms}: ${text}`,
          );
        }
      }
      await server.stop();
    }
  },
  { forms: ON_BUN },
);

claim("two certificates at once are refused with the runtime's name and a remedy", async (t) => {
  const [ec, rsa] = [await selfSigned(t, "ec"), await selfSigned(t, "rsa", { type: "rsa" })];
  const env = {
    CERTFILE: `${ec.certificate}:${rsa.certificate}`,
    KEYFILE: `${ec.key}:${rsa.key}`,
  };
  await refused(t, env, /Deno/);
}, { forms: ON_DENO });

claim("no certificate at all: 111, what is missing, and a remedy", async (t) => {
  const outcome = await t.fails({ selfSigned: false });
  assertStrictEquals(outcome.status, 111);
  assertMatch(
    outcome.stderr,
    /^sslserver: fatal: unable to find a certificate: neither CERTFILE nor CERTCHAINFILE is set$/m,
  );
  assertMatch(outcome.stderr, REMEDY);
});

claim("a file that is missing, empty or nonsense: 111 with file, reason and remedy", async (t) => {
  const good = await selfSigned(t, "good");
  const nowhere = join(t.dir, "nowhere");
  const empty = concatenated(t, "empty");
  const nonsense = join(t.dir, "nonsense");
  fs.writeFileSync(
    nonsense,
    "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n",
  );
  const cut = join(t.dir, "cut");
  fs.writeFileSync(cut, fs.readFileSync(good.certificate, "utf8").slice(0, 300));
  const certificate = (CERTFILE: string) => ({ CERTFILE, KEYFILE: good.key });
  const key = (KEYFILE: string) => ({ CERTFILE: good.certificate, KEYFILE });
  const quoted = (path: string) => path.replaceAll(/[.]/g, "\\.");
  for (const file of [empty, nonsense, cut, good.key]) {
    await refused(
      t,
      certificate(file),
      new RegExp(`unable to use certificate ${quoted(file)}: \\S`),
    );
  }
  for (const file of [empty, nonsense]) {
    await refused(t, key(file), new RegExp(`unable to use key ${quoted(file)}: \\S`));
  }
  await refused(
    t,
    { CERTFILE: good.certificate },
    new RegExp(
      `unable to use certificate ${quoted(good.certificate)}: its private key is not in it`,
    ),
  );
  await refused(
    t,
    certificate(nowhere),
    new RegExp(`unable to read certificate ${quoted(nowhere)}: no such file`, "i"),
  );
  await refused(
    t,
    key(nowhere),
    new RegExp(`unable to read key ${quoted(nowhere)}: no such file`, "i"),
  );
  await refused(t, key(t.dir), new RegExp(`unable to read key ${quoted(t.dir)}: `));
}, { timeout: 90_000 });

claim("a key that belongs to another certificate: 111 with both files", async (t) => {
  const [one, two] = [await selfSigned(t, "one"), await selfSigned(t, "two")];
  await refused(
    t,
    { CERTFILE: one.certificate, KEYFILE: two.key },
    new RegExp(`unable to use key ${two.key}: .*${one.certificate}`),
  );
});

claim("a key that may not be read: 111 with file and reason", async (t) => {
  const pair = await selfSigned(t, "good");
  fs.chmodSync(pair.key, 0o000);
  const outcome = await t.run("setpriv", [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    ...(await import("./harness.ts")).formCommand(t.form, "cat"),
    "127.0.0.1",
    "0",
    "cat",
  ], { env: environmentOf(pair) });
  assertStrictEquals(outcome.status, 111, outcome.stderr);
  assertMatch(
    outcome.stderr,
    /^sslserver: fatal: unable to read key .*good\.key: permission denied$/im,
  );
}, { forms: ON_BUN, skip: needsRoot });

claim("an expired certificate is a warning with file and date, and is served", async (t) => {
  const pair = await selfSigned(t, "old");
  const expired = join(t.dir, "expired.pem");
  await openssl(
    t,
    "x509",
    "-in",
    pair.certificate,
    "-signkey",
    pair.key,
    "-days",
    "-1",
    "-out",
    expired,
  );
  const server = await works(t, { CERTFILE: expired, KEYFILE: pair.key });
  await server.waitFor(
    /^sslserver: warning: certificate \S+expired\.pem expired on [0-9]{4}-[0-9]{2}-[0-9]{2}$/,
  );
});

claim("a certificate that expires within 30 days causes a warning", async (t) => {
  const pair = await agedSelfSigned(t, "soon", 10);
  const server = await works(t, environmentOf(pair));
  await server.waitFor(
    /^sslserver: warning: certificate \S+soon\.pem expires in 9 days, on [0-9-]{10}$/,
  );
});

claim("DHFILE causes one warning and has no effect", async (t) => {
  const pair = await selfSigned(t, "good");
  const server = await works(t, { ...environmentOf(pair), DHFILE: "/etc/ssl/dh.pem" });
  assertStrictEquals(server.lines(/^sslserver: warning: .*DHFILE/).length, 1);
  assertMatch(server.lines(/DHFILE/)[0] ?? "", /finite-field Diffie-Hellman/);
});

claim("TLS_MIN_VERSION and TLS_MAX_VERSION limit the versions", async (t) => {
  const pair = await selfSigned(t, "good");
  const newest = await t.start({ env: { ...environmentOf(pair), TLS_MIN_VERSION: "TLSv1.3" } });
  assertMatch((await talk(t, newest, "", ["-2"])).end, /^no handshake: .*protocol version/);
  assertStrictEquals((await talk(t, newest, "")).facts["protocol"], "TLSv1.3");
  const older = await t.start({ env: { ...environmentOf(pair), TLS_MAX_VERSION: "1.2" } });
  assertMatch((await talk(t, older, "", ["-3"])).end, /^no handshake: .*protocol version/);
  assertStrictEquals((await talk(t, older, "")).facts["protocol"], "TLSv1.2");
  await refused(t, { ...environmentOf(pair), TLS_MIN_VERSION: "TLSv1.4" }, /TLS_MIN_VERSION/);
  const crossed = { TLS_MIN_VERSION: "TLSv1.3", TLS_MAX_VERSION: "TLSv1.2" };
  await refused(t, { ...environmentOf(pair), ...crossed }, /TLS_MIN_VERSION.*TLS_MAX_VERSION/);
});

claim("TLS 1.0 works if it is configured", async (t) => {
  const pair = await selfSigned(t, "rsa", { type: "rsa" });
  const server = await t.start({ env: { ...environmentOf(pair), TLS_MIN_VERSION: "TLSv1" } });
  const where = ["-connect", `127.0.0.1:${server.port}`, "-tls1", "-cipher", "ALL:@SECLEVEL=0"];
  const outcome = await t.run("openssl", ["s_client", ...where]);
  assertMatch(new TextDecoder().decode(outcome.stdout), /Protocol *: TLSv1$/m, outcome.stderr);
}, { forms: ON_BUN });

claim("TLS 1.0 and CIPHERS: 111, naming Deno and a remedy", async (t) => {
  const pair = await selfSigned(t, "good");
  await refused(t, { ...environmentOf(pair), TLS_MIN_VERSION: "TLSv1" }, /TLSv1.*Deno/);
  await refused(t, { ...environmentOf(pair), CIPHERS: "HIGH" }, /cipher.*Deno/i);
}, { forms: ON_DENO });

claim("unknown CIPHERS: 111 with the reason", async (t) => {
  const pair = await selfSigned(t, "good");
  await refused(t, { ...environmentOf(pair), CIPHERS: "NO-SUCH-CIPHER" }, /cipher/i);
}, { forms: ON_BUN });
