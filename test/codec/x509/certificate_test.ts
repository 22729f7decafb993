import { assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { concat, DecodeError } from "../../../src/codec/bytes.ts";
import { decimal, TAG } from "../../../src/codec/der.ts";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  stringElement,
  time,
  unsigned,
} from "../../../src/codec/der_write.ts";
import { readCertificate } from "../../../src/codec/x509/certificate.ts";
import { algorithmName, attributeName, purposeName } from "../../../src/codec/x509/oids.ts";
import { alternativeNames, certificate, cn, dn, extension, richCertificate } from "./samples.ts";

test("every field of a certificate is read", () => {
  const read = readCertificate(richCertificate());
  assertStrictEquals(read.version, 3);
  assertStrictEquals(decimal(read.serial), String(0xff010203));
  assertEquals(read.subject.rdns.map((rdn) => rdn.map(({ oid }) => attributeName(oid))), [
    ["C"],
    ["ST", "L"],
    ["CN", "emailAddress"],
  ]);
  assertStrictEquals(read.selfIssued, false);
  assertEquals(read.notBefore, { ms: Date.UTC(2024, 0, 2), text: "Jan  2 00:00:00 2024 GMT" });
  assertEquals(read.notAfter, { ms: Date.UTC(2050, 0, 1), text: "Jan  1 00:00:00 2050 GMT" });
  assertStrictEquals(algorithmName(read.signatureAlgorithm), "ecdsa-with-SHA256");
  assertStrictEquals(algorithmName(read.publicKeyAlgorithm), "ED25519");
  assertEquals(read.dnsNames, ["a.example", "*.b.example"]);
  assertEquals(read.emails, ["root@b.example"]);
  assertEquals(read.ips.map((ip) => [...ip]), [[192, 0, 2, 7]]);
  assertEquals(read.basicConstraints, { ca: true, pathLength: 3 });
  assertEquals(read.keyUsage, ["digitalSignature", "keyCertSign", "cRLSign"]);
  assertEquals(read.extendedKeyUsage?.map(purposeName), ["serverAuth", "1.2.3.4"]);
  assertEquals(read.unknownCritical, ["1.2.3.5"]);
});

test("a certificate without extensions restricts nothing", () => {
  const read = readCertificate(certificate());
  assertStrictEquals(read.basicConstraints, undefined);
  assertStrictEquals(read.keyUsage, undefined);
  assertStrictEquals(read.extendedKeyUsage, undefined);
  assertEquals(read.dnsNames, []);
  assertStrictEquals(read.selfIssued, true);
});

test("a certificate without a version field is version 1", () => {
  const old = certificate({ version: new Uint8Array() });
  assertStrictEquals(readCertificate(old).version, 1);
});

test("an empty subject is read", () => {
  const read = readCertificate(certificate({ subject: dn(), issuer: cn("issuer") }));
  assertEquals(read.subject.rdns, []);
});

test("serial numbers of every sign and size print as decimals", () => {
  const cases: [number[], string][] = [
    [[0], "0"],
    [[0x7f], "127"],
    [[0, 0x80], "128"],
    [[0x80], "-128"],
    [[0xff], "-1"],
    [[0x01, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"],
  ];
  for (const [bytes, expected] of cases) {
    const serial = element(TAG.integer, Uint8Array.from(bytes));
    assertStrictEquals(decimal(readCertificate(certificate({ serial })).serial), expected);
  }
});

test("times are read in both formats, and years from 50 on belong to the 20th century", () => {
  const cases: [number, string, string][] = [
    [TAG.utcTime, "490101000000Z", "Jan  1 00:00:00 2049 GMT"],
    [TAG.utcTime, "500101000000Z", "Jan  1 00:00:00 1950 GMT"],
    [TAG.utcTime, "140112105743Z", "Jan 12 10:57:43 2014 GMT"],
    [TAG.utcTime, "240229235959Z", "Feb 29 23:59:59 2024 GMT"],
    [TAG.generalizedTime, "99991231235959Z", "Dec 31 23:59:59 9999 GMT"],
    [TAG.generalizedTime, "20510203040506Z", "Feb  3 04:05:06 2051 GMT"],
  ];
  for (const [tag, digits, expected] of cases) {
    const validity = sequence(stringElement(tag, digits), time(0));
    const { notBefore } = readCertificate(certificate({ validity }));
    assertStrictEquals(notBefore.text, expected);
    assertStrictEquals(notBefore.ms, Date.parse(expected));
  }
});

const bad = (validity: string, tag: number = TAG.utcTime) =>
  certificate({ validity: sequence(stringElement(tag, validity), time(0)) });
const ext = (oid: string, value: Uint8Array) =>
  certificate({ extensions: [extension(oid, value)] });
const yes = element(TAG.boolean, Uint8Array.of(0xff));

const REFUSED: readonly [claim: string, der: () => Uint8Array, message: RegExp][] = [
  ["nothing", () => new Uint8Array(), /certificate: missing at byte 0/],
  ["65,537 bytes", () => new Uint8Array(65_537), /certificate: above 65536 bytes/],
  [
    "bytes after the end",
    () => concat([certificate(), Uint8Array.of(0)]),
    /after the certificate: 1 bytes too many/,
  ],
  ["an indefinite length", () => Uint8Array.of(0x30, 0x80, 0, 0), /indefinite length/],
  [
    "a length of nine bytes",
    () => Uint8Array.of(0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    /length too long/,
  ],
  [
    "a length of 4 GiB",
    () => Uint8Array.of(0x30, 0x84, 255, 255, 255, 255),
    /needs 4294967295 bytes, 0 left/,
  ],
  ["a short length in long form", () => Uint8Array.of(0x30, 0x81, 0), /length not minimal/],
  ["a tag of several bytes", () => sequence(Uint8Array.of(0x3f, 1, 0)), /body: unexpected type 63/],
  [
    "version 4",
    () => certificate({ version: element(0xa0, unsigned(Uint8Array.of(3))) }),
    /version: unknown/,
  ],
  ["an empty serial", () => certificate({ serial: element(TAG.integer) }), /serial: empty integer/],
  [
    "a padded serial",
    () => certificate({ serial: element(TAG.integer, Uint8Array.of(0, 1)) }),
    /serial: integer not minimal/,
  ],
  [
    "a padded negative serial",
    () => certificate({ serial: element(TAG.integer, Uint8Array.of(255, 128)) }),
    /serial: integer not minimal/,
  ],
  [
    "a serial of 129 bytes",
    () => certificate({ serial: unsigned(new Uint8Array(129).fill(1)) }),
    /serial: integer above 128 bytes/,
  ],
  [
    "two different signature algorithms",
    () => certificate({ outerSignature: sequence(objectIdentifier("1.3.101.112")) }),
    /differs from the signed one/,
  ],
  [
    "an object identifier of 129 bytes",
    () => certificate({ signature: sequence(element(TAG.oid, new Uint8Array(129).fill(1))) }),
    /object identifier too long/,
  ],
  [
    "an object identifier cut in an arc",
    () => certificate({ signature: sequence(element(TAG.oid, Uint8Array.of(42, 0x83))) }),
    /object identifier cut short/,
  ],
  [
    "an object identifier with leading zeros",
    () => certificate({ signature: sequence(element(TAG.oid, Uint8Array.of(42, 0x80, 1))) }),
    /object identifier not minimal/,
  ],
  [
    "an empty object identifier",
    () => certificate({ signature: sequence(element(TAG.oid)) }),
    /empty object identifier/,
  ],
  [
    "an empty relative name",
    () => certificate({ subject: sequence(element(TAG.set)) }),
    /attribute: missing/,
  ],
  [
    "an attribute of three parts",
    () =>
      certificate({
        subject: sequence(
          element(
            TAG.set,
            sequence(
              objectIdentifier("2.5.4.3"),
              stringElement(TAG.utf8, "a"),
              stringElement(TAG.utf8, "b"),
            ),
          ),
        ),
      }),
    /after the issuer attribute/,
  ],
  ["the 30th of February", () => bad("240230000000Z"), /no such time/],
  ["month 13", () => bad("241301000000Z"), /no such time/],
  ["hour 24", () => bad("240101240000Z"), /no such time/],
  ["a time without seconds", () => bad("2401010000Z"), /bad time/],
  ["a time with an offset", () => bad("240101000000+0100"), /bad time/],
  ["a time with a newline", () => bad("240101000000Z\n"), /bad time/],
  ["a time with a fraction", () => bad("20240101000000.5Z", TAG.generalizedTime), /bad time/],
  ["a text for a time", () => bad("240101000000Z", TAG.ia5), /type 22 is not a time/],
  [
    "extensions in version 1",
    () => certificate({ version: new Uint8Array(), extensions: [] }),
    /not in version 3/,
  ],
  [
    "an extension that comes twice",
    () =>
      certificate({ extensions: [alternativeNames([0x82, "a"]), alternativeNames([0x82, "b"])] }),
    /extension: twice/,
  ],
  [
    "65 extensions",
    () =>
      certificate({
        extensions: Array.from({ length: 65 }, (_, i) => extension(`1.2.3.${i}`, new Uint8Array())),
      }),
    /extensions: above 64/,
  ],
  [
    "a name of 257 attributes",
    () =>
      certificate({
        subject: sequence(...Array.from({ length: 257 }, () => cn("a").subarray(2))),
      }),
    /issuer: above 256 attributes/,
  ],
  [
    "4,097 alternative names",
    () =>
      certificate({
        extensions: [alternativeNames(...Array.from({ length: 4097 }, () => [0x82, "a"] as const))],
      }),
    /alternative names: above 4096/,
  ],
  [
    "257 extended key usages",
    () =>
      ext(
        "2.5.29.37",
        sequence(...Array.from({ length: 257 }, () => objectIdentifier("1.3"))),
      ),
    /extended key usage: above 256/,
  ],
  [
    "an address of five bytes",
    () => certificate({ extensions: [alternativeNames([0x87, new Uint8Array(5)])] }),
    /address of 5 bytes/,
  ],
  [
    "a boolean of 1",
    () => ext("2.5.29.19", sequence(element(TAG.boolean, Uint8Array.of(1)))),
    /basic constraints CA: bad boolean/,
  ],
  [
    "a negative path length",
    () => ext("2.5.29.19", sequence(yes, element(TAG.integer, Uint8Array.of(0xff)))),
    /path length: negative/,
  ],
  [
    "a path length of three bytes",
    () => ext("2.5.29.19", sequence(yes, element(TAG.integer, Uint8Array.of(1, 0, 0)))),
    /path length: integer above 2 bytes/,
  ],
  [
    "a key usage with nine unused bits",
    () => ext("2.5.29.15", bitString(Uint8Array.of(1), 9)),
    /key usage: bad bit string/,
  ],
  [
    "a key usage of 100 bytes",
    () => ext("2.5.29.15", bitString(new Uint8Array(100))),
    /key usage: bad bit string/,
  ],
  [
    "bytes after an extension's value",
    () => ext("2.5.29.37", concat([sequence(), Uint8Array.of(5, 0)])),
    /after the extended key usage: 2 bytes/,
  ],
  [
    "a signature that is no bit string",
    () => certificate({ bits: element(TAG.octetString) }),
    /signature bits: unexpected type 4/,
  ],
];

for (const [claim, der, message] of REFUSED) {
  test(`the reader refuses ${claim}`, () => {
    const error = assertThrows(() => readCertificate(der()), DecodeError, message);
    assertMatch(error.message, /^x509: .*: .* at byte \d+$/);
  });
}

test("every truncation of a certificate is refused", () => {
  const der = richCertificate();
  for (let length = 0; length < der.length; length++) {
    assertThrows(() => readCertificate(der.subarray(0, length)), DecodeError);
  }
});

test("60,000 bytes of nested sequences neither crash nor slow the reader", () => {
  const parts: Uint8Array[] = [sequence()];
  for (let length = 2; length < 60_000;) {
    const head = Uint8Array.of(0x30, ...derLength(length));
    parts.unshift(head);
    length += head.length;
  }
  const nested = concat(parts);
  assertThrows(() => readCertificate(nested), DecodeError);
  const subject = sequence(element(TAG.set, sequence(objectIdentifier("2.5.4.3"), nested)));
  assertStrictEquals(
    readCertificate(certificate({ subject, issuer: cn("x") })).subject.rdns.length,
    1,
  );
  assertEquals(readCertificate(ext("2.5.29.17", nested)).dnsNames, []);
});

function derLength(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

test("a certificate inside a larger buffer is read the same", () => {
  const der = richCertificate();
  const view = concat([new Uint8Array(7), der, new Uint8Array(9)]).subarray(7, 7 + der.length);
  assertEquals(readCertificate(view).dnsNames, readCertificate(der).dnsNames);
});
