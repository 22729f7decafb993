/** The program's environment: required variables, their form, and variables that must be absent. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { chain, concatenated, environmentOf, openssl, selfSigned } from "./certificates.ts";
import { sClient, stdout, talk } from "./clients.ts";
import { claim, type Server, type Trial, WITH_FFI } from "./harness.ts";

const ENV = ["env", "-0"];

async function environment(
  t: Trial,
  server: Server,
  options: string[] = [],
): Promise<Record<string, string>> {
  const { text } = await talk(t, server, "", options);
  const entries = text.split("\0").filter((entry) => entry !== "").map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  return Object.fromEntries(entries);
}

const named = (env: Record<string, string>, pattern: RegExp): string[] =>
  Object.keys(env).filter((name) => pattern.test(name)).sort();

claim("the SSL variables name both ends; PROTO is TLS", async (t) => {
  const server = await t.start({ program: ENV, options: ["-l", "mx.example"] });
  const env = await environment(t, server);
  assertStrictEquals(env["PROTO"], "TLS");
  assertStrictEquals(env["SSLLOCALIP"], "127.0.0.1");
  assertStrictEquals(env["SSLLOCALPORT"], String(server.port));
  assertStrictEquals(env["SSLLOCALHOST"], "mx.example");
  assertStrictEquals(env["SSLREMOTEIP"], "127.0.0.1");
  assertMatch(env["SSLREMOTEPORT"] ?? "", /^[0-9]+$/);
  assertStrictEquals(env["SSLREMOTEHOST"], "localhost");
  assertEquals(named(env, /^(TCP|SSL_|SSLREMOTEINFO)/), []);
});

claim("with -e the TCP variables are also set, and PROTO is TCP", async (t) => {
  const server = await t.start({ program: ENV, options: ["-e"] });
  const env = await environment(t, server);
  assertStrictEquals(env["PROTO"], "TCP");
  for (
    const name of ["LOCALIP", "LOCALPORT", "LOCALHOST", "REMOTEIP", "REMOTEPORT", "REMOTEHOST"]
  ) {
    assertStrictEquals(env[`TCP${name}`], env[`SSL${name}`], name);
    assert(env[`TCP${name}`] !== undefined, name);
  }
  assertEquals(named(env, /^TCP6/), []);
});

claim("an IPv6 client: TCP6 variables with -e, PROTO is TCP6", async (t) => {
  const server = await t.start({ program: ENV, options: ["-e"], host: "::1" });
  const env = await environment(t, server, ["-6"]);
  assertStrictEquals(env["PROTO"], "TCP6");
  assertStrictEquals(env["SSLREMOTEIP"], "::1");
  assertStrictEquals(env["TCP6REMOTEIP"], "::1");
  assertStrictEquals(env["TCP6LOCALPORT"], String(server.port));
  const plain = await t.start({ program: ENV, host: "::1" });
  const without = await environment(t, plain, ["-6"]);
  assertStrictEquals(without["PROTO"], "TLS");
  assertEquals(named(without, /^TCP/), []);
});

claim(
  "-H: SSLREMOTEHOST and other inherited connection variables are removed",
  async (t) => {
    const inherited = {
      SSLREMOTEHOST: "evil.example",
      SSLREMOTEINFO: "root",
      TCPREMOTEHOST: "evil.example",
      TCPREMOTEIP: "192.0.2.1",
      TCP6REMOTEIP: "2001:db8::1",
      TCP6INTERFACE: "eth9",
      SSLINTERFACE: "eth9",
      SSLCTLFD: "3",
      SSL_CLIENT_VERIFY: "SUCCESS",
      SSL_CLIENT_S_DN: "/CN=root",
      SSL_PROTOCOL: "SSLv2",
      SSL_SERVER_CERT: "none",
      SSL_TLS_SNI: "evil.example",
      SSL_JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
      PROTO: "SSH",
      KEPT: "yes",
    };
    const server = await t.start({
      program: ENV,
      options: ["-H"],
      env: inherited,
      selfSigned: true,
    });
    const env = await environment(t, server);
    const left = named(env, /^(SSL|TCP)/);
    assertEquals(left, [
      "SSLLOCALHOST",
      "SSLLOCALIP",
      "SSLLOCALPORT",
      "SSLREMOTEIP",
      "SSLREMOTEPORT",
    ]);
    assertStrictEquals(env["PROTO"], "TLS");
    assertStrictEquals(env["KEPT"], "yes");
  },
);

claim(
  "key, password and root folder are not passed to the program",
  async (t) => {
    const pair = await selfSigned(t, "good");
    const server = await t.start({ program: ENV, options: ["-s"], env: environmentOf(pair) });
    const env = await environment(t, server);
    assertEquals(named(env, /^(KEYFILE|SSL_CHROOT)/), []);
    assert(!Object.values(env).some((value) => /PRIVATE KEY/.test(value)));
  },
);

const SUBJECT =
  "/C=US/ST=New York/L=Sometown/O=Example, Inc./OU=Mail/CN=mx.example/emailAddress=a@b.example";

for (const type of ["ec", "rsa"] as const) {
  claim(`-s: SSL_SERVER_* are what openssl x509 prints, ${type}`, async (t) => {
    const pair = await selfSigned(t, "server", { type, subject: SUBJECT });
    const server = await t.start({ program: ENV, options: ["-s"], env: environmentOf(pair) });
    const env = await environment(t, server);
    const x509 = async (...args: string[]) =>
      (await openssl(t, "x509", "-in", pair.certificate, "-noout", ...args)).trim();
    const after = (text: string) => text.slice(text.indexOf("=") + 1);
    const text = await x509("-text");
    assertStrictEquals(env["SSL_SERVER_S_DN"], SUBJECT);
    assertStrictEquals(
      env["SSL_SERVER_S_DN"],
      after(await x509("-subject", "-nameopt", "compat")).trim(),
    );
    assertStrictEquals(env["SSL_SERVER_I_DN"], env["SSL_SERVER_S_DN"]);
    assertStrictEquals(env["SSL_SERVER_S_DN_C"], "US");
    assertStrictEquals(env["SSL_SERVER_S_DN_ST"], "New York");
    assertStrictEquals(env["SSL_SERVER_S_DN_L"], "Sometown");
    assertStrictEquals(env["SSL_SERVER_S_DN_O"], "Example, Inc.");
    assertStrictEquals(env["SSL_SERVER_S_DN_OU"], "Mail");
    assertStrictEquals(env["SSL_SERVER_S_DN_CN"], "mx.example");
    assertStrictEquals(env["SSL_SERVER_S_DN_Email"], "a@b.example");
    assertStrictEquals(env["SSL_SERVER_V_START"], after(await x509("-startdate")));
    assertStrictEquals(env["SSL_SERVER_V_END"], after(await x509("-enddate")));
    assertStrictEquals(
      BigInt(env["SSL_SERVER_M_SERIAL"] ?? ""),
      BigInt(`0x${after(await x509("-serial"))}`),
    );
    assertStrictEquals(env["SSL_SERVER_M_VERSION"], "3");
    assertStrictEquals(env["SSL_SERVER_A_SIG"], /Signature Algorithm: (\S+)/.exec(text)?.[1]);
    assertStrictEquals(env["SSL_SERVER_A_KEY"], /Public Key Algorithm: (\S+)/.exec(text)?.[1]);
    const pem = await openssl(t, "x509", "-in", pair.certificate);
    assertStrictEquals(env["SSL_SERVER_CERT"]?.trim(), pem.trim());
  });
}

for (const [option, protocol] of [["-2", "TLSv1.2"], ["-3", "TLSv1.3"]] as const) {
  claim(`-s: protocol, cipher, key sizes, versions, ${protocol}`, async (t) => {
    const server = await t.start({ program: ENV, options: ["-s"] });
    const { facts, text } = await talk(t, server, "", [option, "-s", "mail.example"]);
    const env = Object.fromEntries(
      text.split("\0").filter((entry) => entry).map((entry) => entry.split(/=(.*)/s).slice(0, 2)),
    ) as Record<string, string>;
    assertStrictEquals(env["SSL_PROTOCOL"], protocol);
    assertStrictEquals(env["SSL_CIPHER"], facts["cipher"]);
    assertMatch(env["SSL_CIPHER_USEKEYSIZE"] ?? "", /^(128|256)$/);
    assertStrictEquals(env["SSL_CIPHER_ALGKEYSIZE"], env["SSL_CIPHER_USEKEYSIZE"]);
    assertStrictEquals(env["SSL_CIPHER_EXPORT"], "false");
    assertMatch(env["SSL_VERSION_INTERFACE"] ?? "", /^sslserver\/?\s?[0-9]+\.[0-9]+/);
    assertMatch(env["SSL_VERSION_LIBRARY"] ?? "", t.onDeno ? /^rustls/ : /^BoringSSL/);
    assertStrictEquals(env["SSL_CLIENT_VERIFY"], "NONE");
    assertStrictEquals(env["SSL_TLS_SNI"], "mail.example");
    const [, versions = "", ...hashes] = /^(t1[23]d)\d{4}00_(\w{12})_(\w{12})$/.exec(
      env["SSL_JA4"] ?? "",
    ) ?? [];
    assertStrictEquals(versions, option === "-2" ? "t12d" : "t13d", env["SSL_JA4"]);
    assertStrictEquals(new Set([...hashes, "000000000000"]).size, 3);
    assertEquals(named(env, /^SSL_CLIENT_/), ["SSL_CLIENT_VERIFY"]);
  });
}

claim("-s: SSL_SESSION_ID is what the client sees, TLS 1.2", async (t) => {
  const server = await t.start({ program: ENV, options: ["-s"] });
  const env = await environment(t, server, ["-2"]);
  if (t.onDeno) assertStrictEquals(env["SSL_SESSION_ID"], undefined);
  else if (env["SSL_SESSION_ID"] !== undefined) {
    assertMatch(env["SSL_SESSION_ID"], /^[0-9a-f]{2,64}$/);
  }
});

claim("-s with a chain: the variables are the server's own certificate's", async (t) => {
  const made = await chain(t);
  const file = concatenated(t, "chain.pem", made.intermediate, made.certificate);
  const env = { CERTCHAINFILE: file, KEYFILE: made.key };
  const server = await t.start({ program: ENV, options: ["-s"], env });
  const seen = await environment(t, server);
  assertStrictEquals(seen["SSL_SERVER_S_DN"], "/CN=leaf");
  assertStrictEquals(seen["SSL_SERVER_I_DN"], "/CN=middle");
});

claim("a hostile server name cannot add a line to the environment", async (t) => {
  const server = await t.start({ program: ["sh", "-c", "env"], options: ["-s"] });
  const outcome = await sClient(t, server, "", ["-servername", "a\nSSL_CLIENT_VERIFY=SUCCESS"]);
  assertEquals(
    stdout(outcome).split("\n").filter((line) => /SUCCESS/.test(line) && /^SSL_CLIENT/.test(line)),
    [],
  );
});

claim("programs get limit, ignored signals and bytes as the server got them", async (t) => {
  const prelude = [
    "ulimit -Sn 512; trap '' HUP",
    "export __proto__=x LATIN=$(printf 'J\\366rg')",
    'set -- "$@" "$(printf \'a\\377b\')"',
  ].join("\n");
  const script = [
    "ulimit -Sn; grep -o 'SigIgn.*' /proc/self/status",
    "printf '%s' \"$LATIN|$1|\" | od -An -tx1; env | grep -a -c '^__proto__=x$'",
  ].join(";");
  const server = await t.start({ prelude, program: ["sh", "-c", script, "sh"] });
  const { text } = await talk(t, server);
  const [limit = "", ignored = "", ...rest] = text.trim().split("\n");
  assertStrictEquals(BigInt(`0x${ignored.replace(/^.*\s/, "")}`) & 1n, 1n, ignored);
  assertEquals(rest, [" 4a f6 72 67 7c 61 ff 62 7c", "1"]);
  // Deno raises the limit before any of our code runs.
  if (!t.onDeno) assertStrictEquals(limit, "512");
}, { forms: WITH_FFI });
