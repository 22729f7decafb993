/** SNI and ALPN: the certificate for the client's server name, and a protocol that both sides support. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStrictEquals,
} from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { concat } from "../../src/codec/bytes.ts";
import { gatherHello } from "../../src/codec/client_hello.ts";
import { OPENSSL, records } from "../codec/client_hello_samples.ts";
import { makeRules } from "./admission.ts";
import { agedSelfSigned, environmentOf, type Pair, selfSigned } from "./certificates.ts";
import { Raw } from "./clients.ts";
import { claim, type Server, type StartOptions, type Trial } from "./harness.ts";

const PROGRAM = [
  "sh",
  "-c",
  'echo "sni=$SSL_TLS_SNI alpn=$SSL_ALPN keys=$(env | grep -c KEYFILE)"',
];

/** Sets variables with env(1) after the shell, because a shell drops variables with such names. */
function prelude(variables: Record<string, string>): string {
  const words = Object.entries(variables).map(([name, value]) => `'${name}=${value}'`);
  return `set -- env ${words.join(" ")} "$@"`;
}

/** The variables of a certificate for one name. */
const forName = (name: string, { certificate, key }: Pair): Record<string, string> => ({
  [`CERTFILE:${name}`]: certificate,
  [`KEYFILE:${name}`]: key,
});

interface Seen {
  /** The common name of the server's certificate. */
  subject: string | undefined;
  alpn: string | undefined;
  /** The number of the alert that ended the handshake. */
  alert: number | undefined;
  text: string;
}

async function ask(t: Trial, server: Server, ...options: string[]): Promise<Seen> {
  const where = ["-connect", `127.0.0.1:${server.port}`];
  const args = ["s_client", "-ign_eof", ...where, ...options];
  const { stdout, stderr } = await t.run("openssl", args);
  const text = new TextDecoder().decode(stdout) + stderr;
  const number = /SSL alert number ([0-9]+)/.exec(text)?.[1];
  return {
    subject: /^subject=CN = (.*)$/m.exec(text)?.[1],
    alpn: /^ALPN protocol: (.*)$/m.exec(text)?.[1],
    alert: number === undefined ? undefined : Number(number),
    text: /^sni=.*$/m.exec(text)?.[0] ?? "",
  };
}

const called = (name: string): string[] => ["-servername", name];

/** A server with a default certificate and those of `a.example` and `*.wild.example`. */
async function start(
  t: Trial,
  more: Record<string, string> = {},
  options: StartOptions = {},
): Promise<Server> {
  const [own, a, wild] = [
    await selfSigned(t, "default"),
    await selfSigned(t, "a"),
    await selfSigned(t, "wild"),
  ];
  const named = { ...forName("A.example", a), ...forName("*.wild.example", wild), ...more };
  return await t.start({
    program: PROGRAM,
    env: environmentOf(own),
    ...options,
    options: ["-s", "-H", "-l", "local", ...options.options ?? []],
    prelude: prelude(named),
  });
}

claim(
  "the name decides the certificate; case does not matter, a wildcard is one label",
  async (t) => {
    const server = await start(t, forName("own.wild.example", await selfSigned(t, "own")));
    const expected: [string[], string][] = [
      [called("a.example"), "a"],
      [called("A.EXAMPLE"), "a"],
      [called("x.wild.example"), "wild"],
      [called("own.wild.example"), "own"],
      [called("y.x.wild.example"), "default"],
      [called("wild.example"), "default"],
      [called("b.example"), "default"],
      [["-noservername"], "default"],
      [[...called("a.example"), "-tls1_2"], "a"],
    ];
    for (const [options, subject] of expected) {
      assertStrictEquals((await ask(t, server, ...options)).subject, subject, options.join(" "));
    }
  },
);

claim("the program gets name and protocol, and no key's path", async (t) => {
  const server = await start(t, { ALPN: "h2,http/1.1" });
  const { text } = await ask(t, server, ...called("a.example"), "-alpn", "http/1.1,x");
  assertStrictEquals(text, "sni=a.example alpn=http/1.1 keys=0");
  assertStrictEquals((await ask(t, server, "-noservername")).text, "sni= alpn= keys=0");
});

claim("a hostile name breaks no line of the environment", async (t) => {
  const server = await start(t, {}, {
    program: ["sh", "-c", 'printf "sni=%s\\n" "$(env | grep -a -A1 SSL_TLS_SNI | tr "\\n" "|")"'],
  });
  const { text, subject } = await ask(t, server, ...called("a\nPATH=/tmp\n\x1b%.example"));
  // rustls refuses such a name.
  if (subject) assertMatch(text, /^sni=SSL_TLS_SNI=a\\0APATH=\/tmp\\0A\\1B%\.example\|/);
});

claim("SNI_STRICT refuses unknown and absent names with unrecognized_name", async (t) => {
  const server = await start(t, { SNI_STRICT: "1" });
  assertStrictEquals((await ask(t, server, ...called("x.wild.example"))).subject, "wild");
  // The default certificate also serves the names in it.
  assertStrictEquals((await ask(t, server, ...called("localhost"))).subject, "default");
  assertStrictEquals((await ask(t, server, ...called("b.example"))).alert, 112);
  assertStrictEquals((await ask(t, server, "-noservername")).alert, 112);
  const [unknown] = await server.waitFor(/'b\.example' \(SNI_STRICT\)$/);
  assertMatch(unknown ?? "", /error: unable to accept TLS from: 127\.0\.0\.1 /);
  await server.waitFor(/no server name \(SNI_STRICT\)$/);
  assertStrictEquals(server.lines(/SNI_STRICT/).length, 2);
});

claim("with SNI_STRICT no default certificate is needed", async (t) => {
  const a = await selfSigned(t, "a");
  const server = await t.start({
    program: PROGRAM,
    selfSigned: false,
    prelude: prelude({ ...forName("a.example", a), SNI_STRICT: "1" }),
  });
  assertStrictEquals((await ask(t, server, ...called("a.example"))).subject, "a");
  assertStrictEquals((await ask(t, server, ...called("b.example"))).alert, 112);
});

/** The first bytes of the server's answer to `bytes`. */
async function answer(server: Server, bytes: Uint8Array): Promise<Uint8Array> {
  const raw = await Raw.connect(server.port);
  raw.send(bytes);
  const first = new Promise<void>((resolve) => raw.socket.once("data", () => resolve()));
  await Promise.race([first, raw.closedWithin()]);
  raw.destroy();
  return concat(raw.bytes);
}

claim("the name is found in a hello split into records, up to 16 of them", async (t) => {
  const own = await selfSigned(t, "www");
  const server = await start(t, { ...forName("www.example.com", own), SNI_STRICT: "1" });
  const gathered = gatherHello(OPENSSL);
  assert(gathered.is === "whole");
  const { message } = gathered;
  for (const size of [message.length, 200, Math.ceil(message.length / 16)]) {
    assertStrictEquals((await answer(server, records(message, size)))[0], 22, `records of ${size}`);
  }
  const tooMany = await answer(server, records(message, 10));
  assertEquals([...tooMany], [21, 3, 3, 0, 2, 2, 10]);
  await server.waitFor(/unable to accept TLS .*the server name cannot be read/);
  const broken = message.slice();
  broken[broken.length - 1] = 1;
  broken.fill(0xff, 60, 80);
  assertStrictEquals((await answer(server, records(broken)))[0], 21);
});

claim("a rule's certificates are for the clients of that rule", async (t) => {
  const [r, a2] = [await selfSigned(t, "rule"), await selfSigned(t, "a2")];
  const rules = await makeRules(
    t,
    `127.0.0.1:allow,CERTFILE:r.example="${r.certificate}",KEYFILE:r.example="${r.key}",` +
      `CERTFILE:a.example="${a2.certificate}",KEYFILE:a.example="${a2.key}",ALPN="smtp"\n` +
      `:allow\n`,
  );
  const server = await start(t, {}, { options: ["-x", rules] });
  assertStrictEquals((await ask(t, server, ...called("R.example"))).subject, "rule");
  assertStrictEquals((await ask(t, server, ...called("a.example"))).subject, "a2");
  assertStrictEquals(
    (await ask(t, server, ...called("x.wild.example"), "-alpn", "smtp")).alpn,
    "smtp",
  );
  const other = ["-bind", "127.0.0.2"];
  assertStrictEquals((await ask(t, server, ...called("r.example"), ...other)).subject, "default");
  assertStrictEquals((await ask(t, server, ...called("a.example"), ...other)).subject, "a");
});

claim("a named certificate that cannot be used stops the start", async (t) => {
  const own = await selfSigned(t, "own");
  const other = await selfSigned(t, "other");
  const wrong: [Record<string, string>, RegExp][] = [
    [{ "CERTFILE:a.example": "/nonexistent" }, /fatal: unable to read certificate \/nonexistent: /],
    [{ "KEYFILE:a.example": own.key }, /unable to use KEYFILE:a\.example: there is no CERTFILE:a/],
    [
      forName("a example", own),
      /unable to use (?:CERT|KEY)FILE:a example: 'a example' is not a host name/,
    ],
    [forName("*", own), /'\*' is not a host name/],
    [forName("bücher.example", own), /is not a host name/],
    [{ ...forName("a.b", own), ...forName("A.B", own) }, /twice, in two spellings/],
    [
      { "CERTFILE:a.example": own.certificate, "KEYFILE:a.example": other.key },
      /unable to use key .*: it belongs to no certificate in/,
    ],
  ];
  for (const [variables, expected] of wrong) {
    const outcome = await t.fails({ env: environmentOf(own), prelude: prelude(variables) });
    assertStrictEquals(outcome.status, 111);
    assertMatch(outcome.stderr, expected);
  }
});

claim(
  "a renewed certificate of a server name is noticed, an expiring one causes a warning",
  async (t) => {
    const soon = await agedSelfSigned(t, "soon", 10);
    const server = await start(t, forName("soon.example", soon));
    await server.waitFor(/warning: certificate .*soon\.pem expires in 9 days/);
    const old = fs.readFileSync(join(t.dir, "soon.pem"));
    const renewed = await selfSigned(t, "renewed");
    fs.renameSync(renewed.key, soon.key);
    fs.renameSync(renewed.certificate, soon.certificate);
    assertNotEquals(fs.readFileSync(soon.certificate), old);
    server.signal("SIGHUP");
    await server.waitFor(/info: certificate renewed: .*soon\.pem/);
    assertStrictEquals((await ask(t, server, ...called("soon.example"))).subject, "renewed");
  },
);

claim("ALPN: the server's order decides, no overlap is no_application_protocol", async (t) => {
  const server = await start(t, { ALPN: "h2,http/1.1" });
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const alpn = async (list: string): Promise<Seen> => {
      return await ask(t, server, version, ...called("q.example"), "-alpn", list);
    };
    assertStrictEquals((await alpn("http/1.1,h2")).alpn, "h2");
    assertStrictEquals((await alpn("http/1.1")).alpn, "http/1.1");
    assertStrictEquals((await alpn("smtp")).alert, 120);
    assertStrictEquals((await ask(t, server, version)).subject, "default");
  }
  await server.waitFor(/unable to accept TLS from: 127\.0\.0\.1 /, 2);
  assertEquals(server.lines(/internal/), []);
});
