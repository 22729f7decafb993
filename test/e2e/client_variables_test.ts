/** The program's variables about a client's certificate equal the output of `openssl x509`, even with
 *  hostile names in it, and never exceed the size of a variable. */

import { assert, assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import { after } from "node:test";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { folder as x509Folder, make, print } from "../interop/openssl_x509.ts";
import { CASES } from "../interop/openssl_x509_cases.ts";
import { certify } from "../tls/authority.ts";
import { selfSigned } from "./certificates.ts";
import { at, bundle, folder, maker } from "./client_pki.ts";
import { talk } from "./clients.ts";
import { claim, type Server, type Trial, WITH_FFI } from "./harness.ts";

after(() => {
  for (const path of [folder, x509Folder]) fs.rmSync(path, { recursive: true });
});

/** Starts a server that sends the whole environment to each client. */
async function mirror(t: Trial, env: Record<string, string>): Promise<Server> {
  const { certificate, key } = await selfSigned(t, "server");
  // Inherited values that describe another client, as an attacker might plant them.
  const inherited = { SSL_CLIENT_VERIFY: "SUCCESS", SSL_CLIENT_S_DN_CN: "root" };
  return t.start({
    options: ["-sHl0"],
    env: { CERTFILE: certificate, KEYFILE: key, ...inherited, ...env },
    program: ["env", "-0"],
  });
}

/** The SSL_CLIENT_ variables, without the prefix. */
async function read(
  t: Trial,
  server: Server,
  version: string,
  file?: string,
  key = "",
): Promise<Record<string, string>> {
  const shown = file ? ["-c", file, "-k", key] : [];
  const { text } = await talk(t, server, "", [version, ...shown]);
  const items = text.split("\0");
  assertStrictEquals(items.pop(), "");
  const found: Record<string, string> = {};
  for (const item of items) {
    const [, name, value = ""] = /^SSL_CLIENT_(\w+)=([^]*)$/.exec(item) ?? [];
    if (name === undefined) continue;
    assert(!(name in found), `${name} is there twice`);
    found[name] = value;
    // deno-lint-ignore no-control-regex
    if (!name.startsWith("CERT")) assertNotMatch(value, /[\x00-\x1f\x7f]/, name);
  }
  return found;
}

/** The variables for a certificate, computed from the output of openssl. */
function expected(pem: string, more: Record<string, string> = {}): Record<string, string> {
  const { variables, fingerprint, dnsNames, emails } = print(pem);
  return {
    ...variables,
    FINGERPRINT_SHA256: fingerprint,
    ...Object.fromEntries(dnsNames.map((name, i) => [`SAN_DNS_${i}`, name])),
    ...Object.fromEntries(emails.map((name, i) => [`SAN_EMAIL_${i}`, name])),
    VERIFY: "GENEROUS",
    ...more,
  };
}

const EC_KEY = "EC_ec_paramgen_curve_P_256.key";
const HOSTILE = CASES.filter(({ claim }) =>
  /empty|full|every|common|multi|slash|backslash|blanks|newline|variable|UTF-8|String|10,000|alternative|40 bytes/
    .test(claim)
).filter(({ key = "EC P-256", mask }) => key.includes("P-256") && mask !== "default");

claim("every variable is what openssl prints, for hostile names too", async (t) => {
  assert(HOSTILE.length >= 15, HOSTILE.map(({ claim }) => claim).join());
  const server = await mirror(t, { CCAFILE: "/dev/null" });
  const file = join(t.dir, "shown.pem");
  for (const [i, one] of HOSTILE.entries()) {
    const pem = make(one);
    fs.writeFileSync(file, pem);
    const key = join(x509Folder, EC_KEY);
    const version = i % 2 === 0 ? "-3" : "-2";
    assertEquals(await read(t, server, version, file, key), expected(pem), one.claim);
  }
  for (const version of ["-2", "-3"]) {
    assertEquals(await read(t, server, version), { VERIFY: "NONE" });
  }
}, { forms: WITH_FFI });

claim(
  "hostile names are escaped: NUL, control bytes, forged lines",
  async (t) => {
    const server = await mirror(t, { CCAFILE: "/dev/null" });
    const [file, key] = [join(t.dir, "shown.pem"), join(t.dir, "shown.key")];
    for (
      const [name, common] of [
        ["good\0.evil", "good\\00.evil"],
        ["a\nSSL_CLIENT_VERIFY=SUCCESS\0SSL_CLIENT_VERIFY=SUCCESS", undefined],
        ["\x1b[2J\r\x7f", "\\1B[2J\\0D\\7F"],
      ] as const
    ) {
      const { der, privateKey } = certify({ name });
      const pem = encodePem("CERTIFICATE", der);
      fs.writeFileSync(file, pem);
      fs.writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }));
      for (const version of ["-2", "-3"]) {
        const found = await read(t, server, version, file, key);
        assertEquals(Object.keys(found).sort(), Object.keys(expected(pem)).sort());
        assertStrictEquals(found["VERIFY"], "GENEROUS");
        assertStrictEquals(found["S_DN"], print(pem).variables["S_DN"]);
        if (common !== undefined) assertStrictEquals(found["S_DN_CN"], common);
      }
    }
  },
  { forms: WITH_FFI },
);

claim("the chain is reported as the client sent it", async (t) => {
  const CAFILE = bundle(t, "trust.pem", "root");
  const server = await mirror(t, { CCAFILE: "/dev/null", CAFILE, VERIFYDEPTH: "5" });
  const key = at(maker.key("leaf2"));
  for (
    const [verdict, ...sent] of [
      ["SUCCESS", "sub2", "sub1"],
      ["SUCCESS", "sub1", "other", "sub2"],
      ["SUCCESS", "sub2", "sub1", "root"],
      ["FAILED:unable to get local issuer certificate"],
    ] as const
  ) {
    const file = bundle(t, "shown.pem", "leaf2", ...sent);
    const more: Record<string, string> = { VERIFY: verdict };
    for (const [i, name] of sent.entries()) more[`CERT_CHAIN_${i}`] = maker.pem(name);
    const leaf = expected(maker.pem("leaf2"), more);
    for (const version of ["-2", "-3"]) {
      assertEquals(await read(t, server, version, file, key), leaf, `${sent} ${version}`);
    }
  }
}, { forms: WITH_FFI });

// Bun ends TLS 1.3 with a client whose chain has more than 16 to 32 KB: see docs/runtimes.md#bun.
claim("long values are cut or left out, and the program runs", async (t) => {
  const server = await mirror(t, { CCAFILE: "/dev/null" });
  const file = join(t.dir, "shown.pem");
  const pem = make({
    claim: "",
    subject: `/CN=${"a".repeat(40)}/description=${"\x01".repeat(6000)}`,
    args: ["-addext", `subjectAltName=${Array(100).fill("DNS:a.test").join()}`],
  });
  const issuer = make({ claim: "", subject: `/description=${"y".repeat(1000)}` });
  fs.writeFileSync(file, pem + issuer);
  for (const version of ["-2", "-3"]) {
    const found = await read(t, server, version, file, join(x509Folder, EC_KEY));
    assertStrictEquals(found["S_DN_CN"], "a".repeat(40));
    assertMatch(found["S_DN_D"] ?? "", /^(?:\\01)+\\?0?\.\.\.$/);
    for (const name of ["S_DN", "S_DN_D", "I_DN", "I_DN_D"]) {
      assertStrictEquals(found[name]?.length, 16_384, name);
    }
    assertStrictEquals(found["SAN_DNS_63"], "a.test");
    assert(!("SAN_DNS_64" in found));
    assertStrictEquals(found["CERT"], pem);
    assertStrictEquals(found["CERT_CHAIN_0"], issuer);
    assertStrictEquals(found["VERIFY"], "GENEROUS");
  }
}, { forms: WITH_FFI });
