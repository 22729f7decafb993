import { assert, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { TAG } from "../../../src/codec/der.ts";
import { matchesAddress, matchesHost } from "../../../src/codec/x509/match.ts";
import { type Certificate, readCertificate } from "../../../src/codec/x509/certificate.ts";
import { alternativeNames, certificate, CN, cn, dn } from "./samples.ts";

const withDns = (...names: string[]): Certificate =>
  readCertificate(certificate({
    subject: cn("cn.example"),
    extensions: [alternativeNames(...names.map((name) => [0x82, name] as const))],
  }));
const withCn = (value: string | Uint8Array, tag: number = TAG.utf8): Certificate =>
  readCertificate(certificate({ subject: cn(value, tag) }));

const CASES: readonly [claim: string, name: string, host: string, matches: boolean][] = [
  ["the same name", "a.example", "a.example", true],
  ["a name in other case", "A.Example", "a.eXAMPLE", true],
  ["a host with a dot at the end", "a.example", "a.example.", true],
  ["a single label", "localhost", "localhost", true],
  ["a name in A-label form", "xn--bcher-kva.example", "XN--BCHER-KVA.example", true],
  ["a label with an underscore", "_imap.a.example", "_imap.a.example", true],
  ["a wildcard for one label", "*.a.example", "b.a.example", true],
  ["a wildcard in other case", "*.A.example", "b.a.EXAMPLE", true],
  ["a wildcard for an A-label", "*.a.example", "xn--bcher-kva.a.example", true],
  ["a longer host", "a.example", "b.a.example", false],
  ["a shorter host", "b.a.example", "a.example", false],
  ["a host that only ends alike", "a.example", "ba.example", false],
  ["a wildcard for no label", "*.a.example", "a.example", false],
  ["a wildcard for two labels", "*.a.example", "c.b.a.example", false],
  ["a wildcard for an empty label", "*.a.example", ".a.example", false],
  ["a wildcard above one label", "*.example", "a.example", false],
  ["a wildcard alone", "*", "localhost", false],
  ["a wildcard in a part of a label", "f*.a.example", "foo.a.example", false],
  ["a wildcard at the end of a label", "*f.a.example", "of.a.example", false],
  ["a wildcard in an A-label", "xn--*.a.example", "xn--b.a.example", false],
  ["a wildcard that is not left-most", "b.*.example", "b.a.example", false],
  ["two wildcards", "*.*.example", "b.a.example", false],
  ["a wildcard taken literally", "*.a.example", "*.a.example", false],
  ["a NUL behind the name", "a.example\0.evil.example", "a.example", false],
  ["a newline behind the name", "a.example\n", "a.example", false],
  ["a blank before the name", " a.example", "a.example", false],
  ["a dot at the end of the name", "a.example.", "a.example", false],
  ["an empty name and host", "", "", false],
  ["an empty host", "a.example", "", false],
  ["a host that is a dot", "a.example", ".", false],
  ["two dots at the host's end", "a.example", "a.example..", false],
  ["an address as a name", "192.0.2.7", "192.0.2.7", false],
  ["an address for a wildcard", "*.0.2.7", "192.0.2.7", false],
  ["a short address", "127.1", "127.1", false],
  ["an address in hex", "0x7f.0x1", "0x7f.0x1", false],
  ["an IPv6 address", "::1", "::1", false],
  ["a label of 64 characters", `${"a".repeat(64)}.example`, `${"a".repeat(64)}.example`, false],
  ["a name of 254 characters", "a.".repeat(126) + "aa", "a.".repeat(126) + "aa", false],
  ["a label that ends in a hyphen", "a-.example", "a-.example", false],
];

for (const [claim, name, host, matches] of CASES) {
  test(`${claim} ${matches ? "matches" : "does not match"}`, () => {
    assertStrictEquals(matchesHost(withDns(name), host), matches);
    // The same rules apply to a common name if it is used (RFC 6125 6.4.4).
    assertStrictEquals(matchesHost(withCn(name), host), matches);
  });
}

test("any of several DNS names matches", () => {
  const names = withDns("a.example", "*.b.example");
  assert(matchesHost(names, "a.example"));
  assert(matchesHost(names, "x.b.example"));
  assert(!matchesHost(names, "c.example"));
});

test("the common name does not count beside a DNS name", () => {
  assert(!matchesHost(withDns("other.example"), "cn.example"));
  assert(!matchesHost(withDns("\0"), "cn.example"));
});

test("the common name counts beside other alternative names", () => {
  const read = readCertificate(certificate({
    subject: cn("cn.example"),
    extensions: [alternativeNames([0x81, "a@b.example"], [0x87, Uint8Array.of(1, 2, 3, 4)])],
  }));
  assert(matchesHost(read, "cn.example"));
});

test("of several common names the last one counts", () => {
  const subject = dn([[CN, TAG.utf8, "first.example"]], [[CN, TAG.utf8, "last.example"]]);
  const read = readCertificate(certificate({ subject }));
  assert(matchesHost(read, "last.example"));
  assert(!matchesHost(read, "first.example"));
});

test("a common name of wide characters is compared as text", () => {
  const wide = Uint8Array.from([..."a.example"].flatMap((c) => [0, c.charCodeAt(0)]));
  assert(matchesHost(withCn(wide, TAG.bmp), "a.example"));
});

test("a letter that becomes ASCII in lower case does not match", () => {
  const kelvin = new TextEncoder().encode("ban\u212a.example");
  assert(!matchesHost(withCn(kelvin), "bank.example"));
  assert(!matchesHost(withDns("bank.example"), "ban\u212a.example"));
});

test("a certificate without any name matches nothing", () => {
  const read = readCertificate(certificate({ subject: dn(), issuer: cn("x") }));
  assert(!matchesHost(read, "a.example"));
  assert(!matchesAddress(read, Uint8Array.of(127, 0, 0, 1)));
});

test("an address matches the same bytes in the alternative names and nothing else", () => {
  const v6 = Uint8Array.from({ length: 16 }, (_, i) => i);
  const read = readCertificate(certificate({
    subject: cn("192.0.2.8"),
    extensions: [
      alternativeNames([0x87, Uint8Array.of(192, 0, 2, 7)], [0x87, v6], [0x82, "192.0.2.9"]),
    ],
  }));
  assert(matchesAddress(read, Uint8Array.of(192, 0, 2, 7)));
  assert(matchesAddress(read, v6));
  assert(!matchesAddress(read, Uint8Array.of(192, 0, 2, 8)));
  assert(!matchesAddress(read, Uint8Array.of(192, 0, 2, 9)));
  assert(!matchesAddress(read, v6.subarray(0, 4)));
});
