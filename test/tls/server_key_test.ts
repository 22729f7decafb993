/** Keys, certificates and cipher lists that a TLS library refuses: the messages about each. A start and
 *  --check use the same functions. */

import {
  assert,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { decodePem } from "../../src/codec/x509/pem.ts";
import { FatalError } from "../../src/errors.ts";
import { Log } from "../../src/log.ts";
import { Contexts } from "../../src/tls/context.ts";
import { keyProblems, refusing } from "../../src/tls/server_key.ts";
import { ContextError } from "../../src/runtime/runtime.ts";
import { thisRuntime } from "../runtime/kits.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "server-key-"));
after(() => fs.rmSync(folder, { recursive: true }));

const EC = (curve: string): string[] => ["ec", "-pkeyopt", `ec_paramgen_curve:${curve}`];
const USAGE = (usage: string): string[] => ["-addext", `keyUsage=${usage}`];

let made = 0;
function files(newkey: string[]): { CERTFILE: string; KEYFILE: string } {
  const name = join(folder, String(made++));
  const [CERTFILE, KEYFILE] = [`${name}.pem`, `${name}.key`];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", [
    ...["req", "-x509", "-nodes", "-days", "60", ...names, "-keyout", KEYFILE, "-out", CERTFILE],
    ...["-newkey", ...newkey],
  ], { stdio: "ignore" });
  return { CERTFILE, KEYFILE };
}

/** Runs a start with these settings. Returns the fatal message or the warnings; "" if there are none. */
async function start(env: Record<string, string>): Promise<string> {
  let text = "";
  const write = (lines: string): string => text += lines;
  const log = new Log({ verbosity: 1, form: "text", name: "t", write });
  const contexts = new Contexts({ runtime: await thisRuntime(), log, env: (name) => env[name] });
  try {
    contexts.get();
  } catch (error) {
    assert(error instanceof FatalError, String(error));
    assertStrictEquals(error.code, 111);
    assert(error.hint, `no remedy: ${error.message}`);
    return `fatal: ${error.message}`;
  }
  for (const certificate of contexts.get().certificates) {
    for (const { text, remedy } of keyProblems(certificate)) {
      log.warning(`certificate ${env["CERTFILE"]}: ${text}`, remedy);
    }
  }
  log.flush();
  return text;
}

const SILENT = /^$/;
const kind = (name: string): RegExp =>
  new RegExp(`^fatal: unable to use certificate .*pem: its key is of the kind ${name},`);
const LACKS = /^t: warning: certificate .*pem: its keyUsage lacks digitalSignature/;
const SHORT = /^t: warning: certificate .*pem: RSA key of 1024 bits, which clients refuse/;
const LACKS_FATAL = /^fatal: unable to use certificate .*pem: its keyUsage lacks digitalSignature$/;
const SHORT_FATAL = /^fatal: unable to use certificate .*pem: its key is too small for Deno's/;

/** Key and extensions, the expected message on Bun, and the one on Deno if it differs. */
const KEYS: [key: string[], bun: RegExp, deno?: RegExp][] = [
  [EC("P-256"), SILENT],
  [EC("P-384"), SILENT],
  [EC("P-521"), SILENT],
  [["ed25519"], SILENT],
  [["rsa:2048"], SILENT],
  [["rsa:1024"], SHORT, SHORT_FATAL],
  [EC("P-224"), kind("P-224")],
  [EC("P-192"), kind("P-192")],
  [EC("secp256k1"), kind("secp256k1")],
  [EC("brainpoolP256r1"), kind("EC with another curve")],
  [[...EC("P-256"), "-pkeyopt", "ec_param_enc:explicit"], kind("EC with explicit parameters")],
  [["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], kind("RSA-PSS")],
  [["ed448"], kind("Ed448")],
  [[...EC("P-256"), ...USAGE("digitalSignature")], SILENT],
  [[...EC("P-256"), ...USAGE("keyEncipherment,dataEncipherment")], LACKS_FATAL, LACKS],
  [[...EC("P-256"), ...USAGE("keyAgreement")], LACKS_FATAL, LACKS],
  [["ed25519", ...USAGE("keyAgreement")], LACKS],
  [["rsa:2048", ...USAGE("keyEncipherment")], LACKS],
  [["rsa:2048", ...USAGE("digitalSignature,keyEncipherment")], SILENT],
];

for (const [key, bun, deno = bun] of KEYS) {
  test(`key: ${key.filter((word) => !word.startsWith("-")).join(" ")}`, async () => {
    const { name } = await thisRuntime();
    assertMatch(await start(files(key)), name === "Bun" ? bun : deno);
  });
}

const OPENSSL = /it has a word that only OpenSSL knows \(such as @SECLEVEL or PROFILE=/;
const NONE = /the TLS library has none of these suites$/;
const CIPHERS: [list: string, expected: RegExp][] = [
  ["ECDHE+AESGCM:ECDHE+CHACHA20", SILENT],
  ["HIGH:!aNULL:!MD5:@STRENGTH", SILENT],
  ["DEFAULT@SECLEVEL=1", OPENSSL],
  ["@SECLEVEL=2:ECDHE+AESGCM", OPENSSL],
  ["PROFILE=SYSTEM", OPENSSL],
  ["DHE-RSA-AES256-GCM-SHA384", NONE],
  ["ECDHE-ECDSA-AES128-CCM8", NONE],
  ["SUITEB128", NONE],
  ["NORMAL:-VERS-ALL", NONE],
  ["NOPE", NONE],
  ["TLS_AES_128_GCM_SHA256", /the suites of TLS 1.3 cannot be chosen$/],
];

for (const [list, expected] of CIPHERS) {
  test(`CIPHERS=${list}`, async () => {
    const { cipherLists } = await thisRuntime();
    const said = await start({ ...files(EC("P-256")), CIPHERS: list });
    if (said !== "") assertMatch(said, /^fatal: unable to use CIPHERS/);
    if (cipherLists) assertMatch(said, expected);
    else assertNotStrictEquals(said, "");
  });
}

test("a refusal by the TLS library names the certificate, and the remedy that fits it", () => {
  const refusal = (first?: Parameters<typeof refusing>[1]): string => {
    const error = assertThrows(
      () =>
        refusing(undefined, first, () => {
          throw new ContextError("certificate", "reason");
        }),
      FatalError,
    );
    return `${error.message} -- ${error.hint}`;
  };
  assertMatch(refusal(), /^unable to use certificate and key: reason -- use RSA with/);
  assertMatch(refusal({ path: "a.pem" }), /^unable to use certificate a\.pem: reason -- use RSA/);
  const { CERTFILE: path } = files(["rsa:1024"]);
  const [block] = decodePem(fs.readFileSync(path));
  const leaf = readCertificate(block?.bytes as Uint8Array);
  assertMatch(
    refusal({ path, leaf }),
    /^unable to use certificate \S+: reason -- make a key of 2048 bits/,
  );
  assertThrows(
    () =>
      refusing("x", undefined, () => {
        throw new TypeError("a bug");
      }),
    TypeError,
  );
});
