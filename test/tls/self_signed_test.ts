import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { fromLatin1, hex } from "../../src/codec/bytes.ts";
import { decodePem } from "../../src/codec/x509/pem.ts";
import { purposeName } from "../../src/codec/x509/oids.ts";
import { matchesAddress, matchesHost } from "../../src/codec/x509/match.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";

function read(pem: string) {
  const [block] = decodePem(fromLatin1(pem));
  assert(block);
  return readCertificate(block.bytes);
}

test("the certificate is signed by its own key and carries its fingerprint", () => {
  const { certPem, keyPem, fingerprintSha256 } = makeSelfSigned([]);
  const certificate = new X509Certificate(certPem);
  assert(certificate.verify(certificate.publicKey));
  assert(certificate.checkPrivateKey(createPrivateKey(keyPem)));
  assertStrictEquals(fingerprintSha256, createHash("sha256").update(certificate.raw).digest("hex"));
});

test("the certificate names localhost, the given hosts and addresses, and nothing else", () => {
  const certificate = read(
    makeSelfSigned([
      "Host.example",
      "localhost",
      "dotted.example.",
      "192.0.2.7",
      "2001:db8::7:1",
      "fe80::1%eth0",
      "::ffff:192.0.2.8",
      "::",
      "not a name",
      "a\n.example",
      "",
    ]).certPem,
  );
  assertEquals(certificate.dnsNames, ["localhost", "Host.example", "dotted.example"]);
  assertEquals(certificate.ips.map(hex), [
    "7f000001",
    "00000000000000000000000000000001",
    "c0000207",
    "20010db8000000000000000000070001",
    "fe800000000000000000000000000001",
    "00000000000000000000ffffc0000208",
    "00000000000000000000000000000000",
  ]);
  assert(matchesHost(certificate, "host.example"));
  assert(matchesAddress(certificate, Uint8Array.of(127, 0, 0, 1)));
});

test("the certificate is valid for 30 days and can only serve TLS", () => {
  const now = Date.UTC(2026, 10, 21, 9, 46, 1);
  const certificate = read(makeSelfSigned([], now).certPem);
  assertStrictEquals(certificate.notBefore.ms, now - 3_600_000);
  assertStrictEquals(certificate.notAfter.ms, now + 30 * 86_400_000);
  assertEquals(certificate.extendedKeyUsage?.map(purposeName), ["serverAuth"]);
  assertEquals(certificate.keyUsage, ["digitalSignature"]);
  // keyUsage and basicConstraints, with the BOOLEAN that makes them critical.
  for (const critical of ["0603551d0f0101ff", "0603551d130101ff"]) {
    assert(hex(certificate.der).includes(critical), critical);
  }
  assertEquals(certificate.basicConstraints, { ca: false });
});

test("serial numbers are positive, have 16 bytes and differ", () => {
  const serials = Array.from({ length: 50 }, () => read(makeSelfSigned([]).certPem).serial);
  for (const serial of serials) {
    assertStrictEquals(serial.length, 16);
    assert((serial[0] ?? 0) >= 0x40 && (serial[0] ?? 0) < 0x80);
  }
  assertStrictEquals(new Set(serials.map(hex)).size, serials.length);
});
