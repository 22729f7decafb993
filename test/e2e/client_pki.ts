/** Helpers of the claims about client certificates: certificates made by openssl, a client that sends
 *  one, and assertions about the program's output, the log and the end of the connection. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { folder, Maker, openssl, type Spec } from "../interop/openssl_verify.ts";
import { SPECS as VERIFY_SPECS } from "../interop/openssl_verify_cases.ts";
import { selfSigned } from "./certificates.ts";
import { type Talk, talk } from "./clients.ts";
import { LIMIT, type Server, settled, type StartOptions, type Trial } from "./harness.ts";

const LEAF = VERIFY_SPECS["leaf"]?.ext ?? "";
const named = (names: string, cn = "visitor"): Spec => ({
  by: "root",
  cn,
  ext: names === "" ? LEAF : `${LEAF}subjectAltName=${names}\n`,
});

/** The client's host name in the claims about -z. */
export const VISITOR = "client.visitors.test";

const SPECS: Readonly<Record<string, Spec>> = {
  ...VERIFY_SPECS,
  expired: { by: "root", ext: LEAF, days: -1 },
  p256: { by: "root", ext: LEAF },
  p384Leaf: { by: "root", key: "EC ec_paramgen_curve:P-384", ext: LEAF },
  rsaUnderEc: { by: "root", key: "RSA rsa_keygen_bits:2048", ext: LEAF },
  edUnderEc: { by: "root", key: "ED25519", ext: LEAF },
  zName: named(`DNS:other.test,DNS:${VISITOR.toUpperCase()}`),
  zWild: named("DNS:*.visitors.test"),
  zTooWild: named("DNS:*.test"),
  zInside: named("DNS:cl*.visitors.test"),
  zCommon: named("", VISITOR),
  zCommonBeside: named("DNS:other.test", VISITOR),
  zEmail: named(`email:me@${VISITOR}`, VISITOR),
  zOther: named("DNS:other.test"),
  future: { by: "root", ext: LEAF },
};

export const maker = new Maker(SPECS);

/** The folder in which openssl works. The test removes it. */
export { folder, openssl };

/** The path of a file in that folder. */
export const at = (name: string): string => join(folder, name);

/** A certificate in PEM. "future" needs `openssl ca`, the only command of openssl 3.0 that can set the
 *  start of the validity period. */
export function pem(name: string): string {
  if (name !== "future") return maker.pem(name);
  if (!fs.existsSync(at("future.made"))) {
    maker.pem(name);
    fs.writeFileSync(at("future.txt"), "");
    fs.writeFileSync(
      at("future.cnf"),
      "[ca]\ndefault_ca=a\n[a]\ndatabase=future.txt\nnew_certs_dir=.\nrand_serial=yes\n" +
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
    );
    const dates = ["-startdate", "20490101000000Z", "-enddate", "20500101000000Z"];
    const by = ["-cert", "root.pem", "-keyfile", maker.key("root"), "-extfile", "future.ext"];
    const files = ["-in", "future.csr", "-out", "future.made", "-config", "future.cnf"];
    openssl("ca", "-batch", "-notext", ...dates, ...by, ...files);
  }
  return fs.readFileSync(at("future.made"), "utf8").replace(/^[^]*?(?=-----BEGIN)/, "");
}

/** A revocation list of the root that expired in February 2024. */
export function staleList(...revoked: string[]): string {
  maker.list({ by: "root", revoked }); // writes the files of openssl that name the revoked ones
  const dates = ["-crl_lastupdate", "20240101000000Z", "-crl_nextupdate", "20240201000000Z"];
  const by = ["-cert", "root.pem", "-keyfile", maker.key("root")];
  return openssl("ca", "-config", "crl.cnf", "-gencrl", ...by, ...dates);
}

/** Writes a file with these certificates. Returns its path. */
export function bundle(t: Trial, file: string, ...names: string[]): string {
  const path = join(t.dir, file);
  fs.writeFileSync(`${path}.new`, names.map(pem).join(""));
  fs.renameSync(`${path}.new`, path);
  return path;
}

/** Starts a server that sends the value of SSL_CLIENT_VERIFY to each client. */
export async function judge(
  t: Trial,
  options: string,
  env: Readonly<Record<string, string>>,
  more: StartOptions = {},
): Promise<Server> {
  const own = { certificate: join(t.dir, "server.pem"), key: join(t.dir, "server.key") };
  const { certificate, key } = fs.existsSync(own.key) ? own : await selfSigned(t, "server");
  return t.start({
    program: ["sh", "-c", 'printf %s "$SSL_CLIENT_VERIFY"'],
    ...more,
    options: [...options.split(" "), ...more.options ?? []],
    env: { CERTFILE: certificate, KEYFILE: key, ...env },
  });
}

/** The client's own certificate, and those that it sends after it. `undefined`: no certificate. */
export type Shown = readonly [leaf: string, ...sent: string[]] | undefined;

/** The result of a visit. */
export interface Met extends Talk {
  /** The log lines of the visit: programs started, results of verification, errors. */
  lines: string[];
}

/** Connects with or without a certificate, and waits for the log line about the end. */
export async function meet(
  t: Trial,
  server: Server,
  shown: Shown,
  version: "-2" | "-3" = "-3",
): Promise<Met> {
  const about = (): string[] =>
    server.lines(/: (?:error|info(?!: (?:listening|serving) )|fatal|pid|ended|deny)\b/);
  const before = about().length;
  const options = shown
    ? ["-c", bundle(t, "shown.pem", ...shown), "-k", at(maker.key(shown[0]))]
    : [];
  const answer = await talk(t, server, "hello", [version, ...options]);
  const lines = await settled(
    () => about().slice(before),
    (seen) => seen.some((line) => /: (?:error:|ended |deny )/.test(line)),
    LIMIT,
  );
  return { ...answer, lines };
}

const FAILED = /^sslserver: error: unable to accept TLS from: \S+ for pid: \d+ (.*)$/;

/** Asserts that the client is served: SSL_CLIENT_VERIFY of its program is `verdict`. */
export function assertServed(met: Met, verdict: string, what: string): void {
  assertStrictEquals(met.text, verdict, `${what}: ${met.lines.join("\n")}`);
  assertStrictEquals(met.end, "close_notify", what);
  const kinds = met.lines.map((line) => /^sslserver: (\w+)/.exec(line)?.[1]);
  const expected = verdict === "SUCCESS" ? ["pid", "info", "ended"] : ["pid", "ended"];
  assertEquals(kinds, expected, `${what}: ${met.lines.join("\n")}`);
}

/** Asserts that the client is refused: no program, one log line with the reason `why`, and `end` as
 *  the end that the client sees. */
export function assertRefused(met: Met, why: string, end: string, what: string): void {
  assertEquals(met.lines.map((line) => FAILED.exec(line)?.[1] ?? line), [why], what);
  assertStrictEquals(met.text, "", what);
  assertStrictEquals(met.end, end, what);
}
