/** Which certificates of the files are sent, and the messages about files with other content. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { oneLine } from "../../src/codec/x509/names.ts";
import { Buffer } from "node:buffer";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { FatalError } from "../../src/errors.ts";
import { fileKind } from "../../src/tls/file_kind.ts";
import type { NamedFile } from "../../src/tls/file_kind.ts";
import { serverKeyPairs } from "../../src/tls/key_pairs.ts";
import { certify, type Holder, NOW, revoke } from "./authority.ts";

const YEAR = (year: number): number => Date.UTC(year, 0, 1);
const OLD = { from: YEAR(2020), until: YEAR(2026) };
const NEXT = { from: YEAR(2031), until: YEAR(2034) };

const root = certify({ name: "root", ca: true });
const int = certify({ name: "int", by: root, ca: true, until: YEAR(2033) });
const oldInt = certify({ name: "int", by: root, ca: true, keyOf: int, ...OLD });
const nextInt = certify({ name: "int", by: root, ca: true, keyOf: int, ...NEXT });
/** An intermediate with the same name and another key. */
const otherInt = certify({ name: "int", by: root, ca: true });
const leaf = certify({ name: "leaf", by: int });
const oldLeaf = certify({ name: "leaf", by: int, keyOf: leaf, ...OLD });
const olderLeaf = certify({ name: "leaf", by: int, keyOf: leaf, ...OLD, until: YEAR(2024) });
const nextLeaf = certify({ name: "leaf", by: int, keyOf: leaf, ...NEXT });

const file = (path: string, text: string): NamedFile => ({
  path,
  bytes: new TextEncoder().encode(text),
});
const pem = (...holders: Holder[]): string =>
  holders.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
const keyOf = ({ privateKey }: Holder): string =>
  privateKey.export({ type: "pkcs8", format: "pem" }) as string;

const KEY = file("leaf.key", keyOf(leaf));
/** The chain that is sent, as indexes into `holders`. */
function sent(holders: readonly Holder[], now = NOW): number[] {
  const [pair] = serverKeyPairs([file("x.pem", pem(...holders))], [KEY], undefined, now);
  return pair?.certificates.map(({ der }) =>
    holders.findIndex((holder) => Buffer.compare(holder.der, der) === 0)
  ) ?? [];
}

const CHAINS: [claim: string, holders: Holder[], expected: number[], now?: number][] = [
  ["an expired issuer first", [leaf, oldInt, int], [0, 2]],
  ["an expired issuer last", [leaf, int, oldInt], [0, 1]],
  ["an issuer that is not valid yet", [leaf, nextInt, int], [0, 2]],
  ["later", [leaf, nextInt, int], [0, 1], YEAR(2033) + 1],
  ["an expired leaf first", [oldLeaf, leaf, int], [1, 2]],
  ["a leaf that is not valid yet", [nextLeaf, leaf, int], [1, 2]],
  ["two valid leaves: the first", [leaf, nextLeaf, int], [0, 2], YEAR(2032)],
  ["two valid leaves, the other way round", [nextLeaf, leaf, int], [0, 2], YEAR(2032)],
  ["all leaves expired: the one that lasted longest", [olderLeaf, oldLeaf, int], [1, 2]],
  ["all issuers expired: the one that lasted longest", [leaf, oldInt, int], [0, 2], YEAR(2034)],
  ["of one name the one that signed", [leaf, otherInt, int], [0, 2]],
  ["the signature counts more than the dates", [leaf, otherInt, oldInt], [0, 2]],
  ["a root is sent too", [leaf, oldInt, int, root], [0, 2, 3]],
];

test("a valid leaf and issuer are sent, wherever they are in the file", () => {
  for (const [claim, holders, expected, now] of CHAINS) {
    assertEquals(sent(holders, now), expected, claim);
  }
});

test("the time of the next change of choice is known", () => {
  const until = (now: number): number | undefined =>
    serverKeyPairs([file("x.pem", pem(leaf, int, nextInt))], [KEY], undefined, now)[0]?.until;
  assertStrictEquals(until(NOW), YEAR(2031));
  assertStrictEquals(until(YEAR(2031)), YEAR(2033) + 1);
  assertStrictEquals(until(YEAR(2036)), Infinity);
});

test("TRUSTED CERTIFICATE is accepted in a certificate file, without its trust settings", () => {
  const settings = [0x30, 0x0a, 0x30, 0x08, 6, 6, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
  const trusted = encodePem("TRUSTED CERTIFICATE", Uint8Array.of(...leaf.der, ...settings));
  const [pair] = serverKeyPairs([file("x", trusted + pem(int))], [KEY], undefined, NOW);
  assertStrictEquals(pair?.chain, pem(leaf, int));
});

const folder = fs.mkdtempSync(join(tmpdir(), "sslserver-kinds-"));
after(() => fs.rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
}
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
openssl("req", "-x509", ...EC, "-keyout", "key", "-out", "cert");
openssl("req", "-new", "-key", "key", "-subj", "/CN=x", "-out", "csr");
openssl("req", "-new", "-key", "key", "-subj", "/CN=x", "-outform", "DER", "-out", "csr.der");
openssl("pkcs12", "-export", "-in", "cert", "-inkey", "key", "-passout", "pass:", "-out", "p12");
openssl("crl2pkcs7", "-nocrl", "-certfile", "cert", "-out", "p7");
openssl("crl2pkcs7", "-nocrl", "-certfile", "cert", "-outform", "DER", "-out", "p7.der");
openssl("pkey", "-in", "key", "-pubout", "-out", "pub");
openssl("pkey", "-in", "key", "-pubout", "-outform", "DER", "-out", "pub.der");
openssl("pkcs8", "-topk8", "-nocrypt", "-in", "key", "-outform", "DER", "-out", "key.der");
openssl("ec", "-in", "key", "-outform", "DER", "-out", "sec1.der");
openssl(
  "pkcs8",
  "-topk8",
  ..."-v2 aes-256-cbc -passout pass:a -in key -outform DER -out enc.der".split(" "),
);
openssl("x509", "-in", "cert", "-outform", "DER", "-out", "cert.der");
openssl("x509", "-in", "cert", "-trustout", "-out", "trusted");
openssl("ecparam", "-name", "prime256v1", "-out", "curve");
openssl("genrsa", "-traditional", "-out", "rsa", "1024");
openssl("rsa", "-in", "rsa", "-outform", "DER", "-out", "rsa.der");
const read = (name: string): Uint8Array => new Uint8Array(fs.readFileSync(at(name)));
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const utf16 = bytes(`\xff\xfe${[...new TextDecoder().decode(read("cert"))].join("\0")}\0`);

/** The message and hint about each kind of file as a certificate, and as a key. `undefined`: accepted. */
const PKCS12 = [
  /: it is PKCS #12$/,
  /^convert it: openssl pkcs12 -in \S+ -nodes -out \S+\.pem /,
] as const;
const PKCS7 = [/: it is PKCS #7$/, /^convert it: openssl pkcs7 -print_certs -in /] as const;
const REQUEST = [
  /: it is a certificate request$/,
  /^use the certificate that the authority/,
] as const;
const PUBLIC = [/: it is a public key$/, /^(CERT|KEY)FILE/] as const;
type Said = readonly [message: RegExp, hint: RegExp] | undefined;
const KINDS: [name: string, bytes: Uint8Array, asCertificate: Said, asKey: Said][] = [
  ["certificate", read("cert"), undefined, [/: its private key is not in it$/, /^set KEYFILE to/]],
  ["certificate.der", read("cert.der"), undefined, [
    /its private key is not in it$/,
    /^set KEYFILE/,
  ]],
  ["trusted", read("trusted"), undefined, [/its private key is not in it$/, /^set KEYFILE/]],
  ["key", read("key"), [/: it is a private key$/, /^CERTFILE/], undefined],
  ["key.der", read("key.der"), [/: it is a private key$/, /^CERTFILE/], undefined],
  ["sec1.der", read("sec1.der"), [/: it is a private key$/, /^CERTFILE/], undefined],
  ["rsa.der", read("rsa.der"), [/: it is a private key$/, /^CERTFILE/], undefined],
  ["enc.der", read("enc.der"), [/: it is an encrypted private key$/, /./], [
    /: it is encrypted$/,
    /-3/,
  ]],
  ["p12", read("p12"), PKCS12, PKCS12],
  ["java.p12", Uint8Array.of(0x30, 0x80, 2, 1, 3, 0x30, 0x80, 6, 9), PKCS12, PKCS12],
  ["p7", read("p7"), PKCS7, PKCS7],
  ["p7.der", read("p7.der"), PKCS7, PKCS7],
  ["request", read("csr"), REQUEST, REQUEST],
  ["request.der", read("csr.der"), REQUEST, REQUEST],
  ["public", read("pub"), PUBLIC, PUBLIC],
  ["public.der", read("pub.der"), PUBLIC, PUBLIC],
  ["list", bytes(encodePem("X509 CRL", revoke(root))), [/: it is a revocation list$/, /./], [
    /list$/,
    /./,
  ]],
  ["list.der", revoke(root), [/: it is a revocation list$/, /./], [
    /: it is a revocation list$/,
    /./,
  ]],
  ["curve", read("curve"), [/name of a curve, without a key$/, /./], [/name of a curve/, /./]],
  [
    "openssh",
    bytes("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
    [/OpenSSH/, /^convert/],
    [/OpenSSH/, /^convert/],
  ],
  ["id.pub", bytes("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 a@b\n"), [/public key in OpenSSH/, /./], [
    /OpenSSH/,
    /./,
  ]],
  ["putty", bytes("PuTTY-User-Key-File-3: ssh-ed25519\n"), [/PuTTY/, /puttygen/], [
    /PuTTY/,
    /puttygen/,
  ]],
  ["java", bytes("\xfe\xed\xfe\xed\0\0"), [/Java keystore/, /keytool/], [
    /Java keystore/,
    /keytool/,
  ]],
  ["utf-16", utf16, [/text in UTF-16$/, /iconv/], [/text in UTF-16$/, /iconv/]],
  ["page", bytes("<!DOCTYPE html><html>"), [/: it is a web page$/, /./], [
    /: it is a web page$/,
    /./,
  ]],
  ["empty", bytes(""), [/: the file is empty$/, /./], [/: the file is empty$/, /./]],
  ["text", bytes("hello\n"), [/: no certificate in it$/, /./], [/: no key in it$/, /./]],
];

function said(certificates: NamedFile[], keys: NamedFile[]): [string, string] {
  try {
    serverKeyPairs(certificates, keys, undefined);
    return ["", ""];
  } catch (error) {
    assert(error instanceof FatalError, String(error));
    return [error.message, error.hint ?? ""];
  }
}

test("a file of another kind is named, with what to do", () => {
  const cert = { path: "/e/c.pem", bytes: read("cert") };
  const key = { path: "/e/k.pem", bytes: read("key") };
  for (const [name, bytes, asCertificate, asKey] of KINDS) {
    const file = { path: `/e/${name}`, bytes };
    const tries: [Said, [string, string]][] = [
      [asCertificate, said([file], [key])],
      // `file` as the key. It is also the certificate if it is accepted as one, as without KEYFILE.
      [asKey, said([name === "key" ? cert : asCertificate ? cert : file], [file])],
    ];
    for (const [expected, [message, hint]] of tries) {
      // A key that is accepted may still belong to another certificate.
      if (!expected) assertMatch(message, /^$|belongs to no certificate/, name);
      else {
        assertMatch(message, expected[0], name);
        assertMatch(hint, expected[1], name);
      }
    }
  }
});

test("certificate and key in each other's place are called swapped", () => {
  const swapped = said([{ path: "/e/k", bytes: read("key") }], [{
    path: "/e/c",
    bytes: read("cert"),
  }]);
  assertMatch(
    swapped[0],
    /certificate \/e\/k: it is a private key, and \/e\/c is a certificate: these are swapped$/,
  );
  assertMatch(swapped[1], /^CERTFILE is for the certificate, KEYFILE for the private key$/);
});

test("an encrypted key in DER is read with its password", () => {
  const files = [{ path: "c", bytes: read("cert") }],
    keys = [{ path: "k", bytes: read("enc.der") }];
  assertStrictEquals(serverKeyPairs(files, keys, "a").length, 1);
  assertThrows(() => serverKeyPairs(files, keys, "b"), Error, /the password is wrong/);
});

test("a certificate of version 1 or with serial number 0 is not mistaken for a list or request", () => {
  openssl(
    "req",
    "-x509",
    ...EC,
    "-set_serial",
    "0",
    "-keyout",
    "k0",
    "-outform",
    "DER",
    "-out",
    "c0",
  );
  assertStrictEquals(fileKind(read("c0"))?.is, "a certificate");
  openssl(..."x509 -req -in csr -signkey key -set_serial 0 -outform DER -out v1".split(" "));
  assertStrictEquals(readCertificate(read("v1")).version, 1);
  assertStrictEquals(oneLine(readCertificate(read("v1")).subject), "/CN=x");
  assertStrictEquals(fileKind(read("v1"))?.is, "a certificate");
});
