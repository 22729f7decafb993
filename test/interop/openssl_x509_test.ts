/** Every variable of a certificate against the output of `openssl x509`, for certificates that openssl
 *  makes here and a few that it does not make; cipher names against openssl's list; the certificate of
 *  --self-signed against openssl's verifier. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { rmSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { TAG } from "../../src/codec/der.ts";
import { decodePem, encodePem } from "../../src/codec/x509/pem.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { oneLine } from "../../src/codec/x509/names.ts";
import { purposeName } from "../../src/codec/x509/oids.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { keySizes, opensslCipher } from "../../src/tls/cipher_names.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { clientVariables, serverVariables } from "../../src/tls/variables.ts";
import { certificate, cn, dn } from "../codec/x509/samples.ts";
import { folder, make, openssl, print } from "./openssl_x509.ts";
import { CASES, HAND_MADE } from "./openssl_x509_cases.ts";

after(() => rmSync(folder, { recursive: true }));

/** The variables of one side without our additions, by name without `SSL_SERVER_` or `SSL_CLIENT_`. */
function unprefixed(variables: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...variables].map(([name, value]) => [name.replace(/^SSL_(?:SERVER|CLIENT)_/, ""), value])
      .filter(([name]) => !/^(?:SAN|FINGERPRINT)_/.test(name ?? "")),
  );
}

function compare(pem: string): void {
  const [block] = decodePem(new TextEncoder().encode(pem));
  assert(block);
  const printed = print(pem);
  const read = readCertificate(block.bytes);
  const client = clientVariables(sentChain([block.bytes]));
  assertEquals(unprefixed(serverVariables(read)), printed.variables);
  assertEquals(unprefixed(client), printed.variables);
  assertStrictEquals(client.get("SSL_CLIENT_FINGERPRINT_SHA256"), printed.fingerprint);

  const { ca, pathLength } = read.basicConstraints ?? {};
  const limit = pathLength === undefined ? "" : `, pathlen:${pathLength}`;
  assertStrictEquals(
    read.basicConstraints && `CA:${String(ca).toUpperCase()}${limit}`,
    printed.constraints,
  );
  assertEquals(read.keyUsage, printed.keyUsage);
  assertEquals(read.extendedKeyUsage?.map(purposeName), printed.extendedKeyUsage);
  assertEquals(read.dnsNames, printed.dnsNames);
  assertEquals(read.emails, printed.emails);
  assertStrictEquals(read.ips.length, printed.ips.length);
}

for (const one of CASES) {
  test(`openssl and the variables agree about ${one.claim}`, () => compare(make(one)));
}

for (const [claim, der] of HAND_MADE) {
  test(`openssl and the variables agree about ${claim}`, () => {
    compare(encodePem("CERTIFICATE", der()));
  });
}

test("openssl and this program have the same names for attribute types", () => {
  const range = (parent: string, to: number) =>
    Array.from({ length: to + 1 }, (_, i) => `${parent}.${i}`);
  const oids = [
    ...range("2.5.4", 110),
    ...range("0.9.2342.19200300.100.1", 60),
    ...range("1.2.840.113549.1.9", 30),
    ...range("1.3.6.1.4.1.311.60.2.1", 5),
    ...range("1.3.6.1.5.5.7.9", 6),
    ...range("1.2.643.100", 7),
    "1.2.643.3.131.1.1",
    "1.3.6.1.4.1.311.17.1",
    "1.3.6.1.4.1.311.20.2.3",
  ];
  const subject = dn(...oids.map((oid) => [[oid, TAG.printable, "v"]] as const));
  const der = certificate({ subject, issuer: cn("x") });
  const input = encodePem("CERTIFICATE", der);
  const printed = openssl(["x509", "-noout", "-subject", "-nameopt", "compat"], { input });
  assertStrictEquals(`subject=${oneLine(readCertificate(der).subject)}\n`, printed);
});

test("openssl and this program have the same cipher names and sizes", () => {
  const list = openssl([
    "ciphers",
    "-stdname",
    "-v",
    "ALL:!aNULL:!eNULL:!PSK:!SRP:!ARIA:!CAMELLIA",
  ]);
  const rows = list.trim().split("\n").map((row) => row.split(/\s+/));
  assert(rows.length > 30);
  for (const [standardName = "", , name = "", ...rest] of rows) {
    assertStrictEquals(opensslCipher({ name: standardName, standardName }), name);
    const bits = /Enc=[\w/]+\((\d+)\)/.exec(rest.join(" "))?.[1];
    assertStrictEquals(String(keySizes(name)?.possible), bits);
  }
});

test("openssl verifies the throw-away certificate for each of its names", () => {
  const { certPem, keyPem } = makeSelfSigned(["host.example", "192.0.2.7", "2001:db8::1"]);
  writeFileSync(join(folder, "self.pem"), certPem);
  const verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "self.pem"];
  for (const name of ["localhost", "host.example"]) {
    assertMatch(openssl([...verify, "-verify_hostname", name, "self.pem"]), /: OK/);
  }
  for (const ip of ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1"]) {
    assertMatch(openssl([...verify, "-verify_ip", ip, "self.pem"]), /: OK/);
  }
  assertThrows(() => openssl([...verify, "-verify_hostname", "other.example", "self.pem"]));
  assertMatch(openssl(["pkey", "-check", "-noout"], { input: keyPem }), /valid/);
  compare(certPem);
});
