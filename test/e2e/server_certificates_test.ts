/** Servers whose certificate has one fault: sslcat refuses each with the reason, and prints nothing. The
 *  program of sslclient is started as sslcat begins to print, so this is about it, too. */

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import * as fs from "node:fs";
import { after } from "node:test";
import { join } from "@std/path";
import { folder, Maker, type Spec } from "../interop/openssl_verify.ts";
import { claim, formCommand, type Outcome, type Trial } from "./harness.ts";

after(() => fs.rmSync(folder, { recursive: true }));

const CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const leaf = (by: string, names = "DNS:localhost", more = ""): Spec => ({
  by,
  ext: `basicConstraints=CA:FALSE\nsubjectAltName=${names}\n${more}`,
});

const maker = new Maker({
  root: { ext: CA },
  sub: { by: "root", ext: CA },
  sub2: { by: "sub", ext: CA },
  stray: { ext: CA },
  good: leaf("root"),
  expired: { ...leaf("root"), days: -1 },
  revoked: leaf("root"),
  unknown: leaf("stray"),
  elsewhere: leaf("root", "DNS:mail.example,IP:192.0.2.7"),
  visitor: leaf("root", "DNS:localhost", "extendedKeyUsage=clientAuth\n"),
  below: leaf("sub"),
  deep: leaf("sub2"),
  address: leaf("root", "IP:127.0.0.1"),
});

/** The certificate and those sent with it, options, and the reason; undefined: the server is accepted. */
const ROWS: readonly (readonly [sent: string, options: string, reason: RegExp | undefined])[] = [
  ["good", "", undefined],
  ["below sub", "", undefined],
  ["expired", "", /certificate has expired: \/CN=expired was valid until .* GMT$/m],
  ["revoked", "", /certificate revoked: \/CN=revoked, by the list of \/CN=root$/m],
  ["below sub", "crl", /unable to get certificate CRL: there is none of \/CN=sub$/m],
  ["unknown", "", /unable to get local issuer certificate: \/CN=unknown is issued by \/CN=stray,/],
  ["elsewhere", "", /hostname mismatch: .* for mail\.example, 192\.0\.2\.7, not for localhost$/m],
  ["elsewhere", "-N", undefined],
  ["visitor", "", /unsuitable certificate purpose: \/CN=visitor$/m],
  ["deep sub2 sub", "", /certificate chain too long: more than 1 between[^]*with -V$/m],
  ["deep sub2 sub", "-V 2", undefined],
  ["address", "", /hostname mismatch: the certificate is for 127\.0\.0\.1, not for localhost$/m],
];

claim("a server is refused for each fault of its certificate, with the reason", async (t) => {
  const at = (file: string): string => join(t.dir, file);
  fs.writeFileSync(at("root.pem"), maker.pem("root"));
  fs.writeFileSync(at("crl.pem"), maker.list({ by: "root", revoked: ["revoked"] }));
  const run = async (index: number): Promise<Outcome> => {
    const [sent, options] = ROWS[index] ?? ["", ""];
    const [name = "", ...others] = sent.split(" ");
    fs.writeFileSync(at(`${index}.pem`), [name, ...others].map((one) => maker.pem(one)).join(""));
    const server = await t.start({
      env: { CERTFILE: at(`${index}.pem`), KEYFILE: join(folder, maker.key(name)) },
      options: ["-HRl0", "-q"],
      program: ["echo", "printed"],
    });
    const words = options.split(" ").filter((word) => word !== "" && word !== "crl");
    const lists = /^revoked|crl/.test(sent + options) ? { CRLFILE: at("crl.pem") } : {};
    return await connect(t, [String(server.port), "-a", at("root.pem"), ...words], lists);
  };
  // A start of Deno takes long; the verifier is the same.
  for (const index of t.onDeno ? [0, 3] : ROWS.keys()) {
    const [sent, options, reason] = ROWS[index] ?? ["", "", undefined];
    const { status, stdout, stderr } = await run(index);
    const about = `${sent} ${options}: ${stderr}`;
    assertStrictEquals(new TextDecoder().decode(stdout), reason ? "" : "printed\n", about);
    assertStrictEquals(status, reason ? 111 : 0, about);
    assertMatch(stderr, reason ?? /^$/, about);
    if (reason) assert(stderr.startsWith("sslcat: fatal: unable to trust the server: "), about);
  }
}, { forms: ["binary", "deno"], timeout: 120_000, together: true });

claim("the authorities of the system are trusted, and no others", async (t) => {
  const at = (file: string): string => join(t.dir, file);
  fs.writeFileSync(at("root.pem"), maker.pem("root"));
  fs.writeFileSync(at("stray.pem"), maker.pem("stray"));
  fs.writeFileSync(at("good.pem"), maker.pem("good"));
  const server = await t.start({
    env: { CERTFILE: at("good.pem"), KEYFILE: join(folder, maker.key("good")) },
    options: ["-HRl0"],
    program: ["echo", "printed"],
  });
  const port = String(server.port);
  fs.mkdirSync(at("folder"));
  fs.copyFileSync(at("root.pem"), at("folder/root.pem"));
  const rows: [Record<string, string>, string[], number][] = [
    [{ SSL_CERT_FILE: at("root.pem") }, [], 0],
    [{ SSL_CERT_DIR: at("folder") }, [], 0],
    [{ SSL_CERT_FILE: at("stray.pem") }, [], 111],
    [{ SSL_CERT_FILE: at("stray.pem"), CAFILE: at("root.pem") }, [], 0],
    [{ CADIR: at("folder") }, [], 0],
    [{ CAFILE: at("root.pem") }, ["-a", at("stray.pem")], 111],
    [{ CAFILE: at("stray.pem") }, ["-A", at("folder")], 0],
  ];
  for (const [env, options, code] of rows) {
    const { status, stderr } = await connect(t, [port, ...options], env);
    assertEquals(
      [status, stderr === ""],
      [code, code === 0],
      JSON.stringify([env, options, stderr]),
    );
  }
}, { forms: ["binary"] });

/** Runs sslcat with the host localhost. */
async function connect(
  t: Trial,
  args: readonly string[],
  env: Record<string, string>,
): Promise<Outcome> {
  const [command = "", ...words] = formCommand(t.form, "cat");
  return await t.run(command, [...words, "--as", "sslcat", "localhost", ...args], { env });
}
