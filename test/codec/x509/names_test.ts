import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { fromLatin1 } from "../../../src/codec/bytes.ts";
import { TAG } from "../../../src/codec/der.ts";
import { element, sequence } from "../../../src/codec/der_write.ts";
import { type DistinguishedName, readCertificate } from "../../../src/codec/x509/certificate.ts";
import { components, escapeText, MAX_TEXT, oneLine } from "../../../src/codec/x509/names.ts";
import { certificate, CN, cn, dn, type SampleAttribute } from "./samples.ts";

function name(...rdns: readonly (readonly SampleAttribute[])[]): DistinguishedName {
  return readCertificate(certificate({ subject: dn(...rdns), issuer: cn("x") })).subject;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

test("a name on one line has OpenSSL's order and short names", () => {
  const subject = name(
    [["2.5.4.6", TAG.printable, "US"]],
    [["2.5.4.8", TAG.utf8, "New York"]],
    [[CN, TAG.utf8, "x"], ["2.5.4.11", TAG.utf8, "unit"]],
    [["1.2.840.113549.1.9.1", TAG.ia5, "a@b.example"]],
    [["1.2.3.4", TAG.utf8, "y"]],
  );
  assertStrictEquals(
    oneLine(subject),
    "/C=US/ST=New York/CN=x+OU=unit/emailAddress=a@b.example/1.2.3.4=y",
  );
});

test("bytes that are not printable ASCII are escaped on the line", () => {
  const value = utf8("a\n\0\x7fü/b+c\\d");
  assertStrictEquals(
    oneLine(name([[CN, TAG.utf8, value]])),
    "/CN=a\\x0A\\x00\\x7F\\xC3\\xBC\\/b\\+c\\d",
  );
});

test("an empty name is an empty line without components", () => {
  assertStrictEquals(oneLine(name()), "");
  assertEquals(components(name()), []);
});

test("each of mod_ssl's components is found", () => {
  const oids =
    "2.5.4.6 2.5.4.8 2.5.4.7 2.5.4.10 2.5.4.11 2.5.4.3 2.5.4.12 2.5.4.43 2.5.4.42 2.5.4.4 " +
    "2.5.4.13 0.9.2342.19200300.100.1.1 1.2.840.113549.1.9.1 2.5.4.5";
  const subject = name(...oids.split(" ").map((oid) => [[oid, TAG.utf8, oid]] as const));
  assertEquals(
    components(subject).map(([component]) => component),
    "C ST L O OU CN T I G S D UID Email".split(" "),
  );
});

test("the second component of a kind has the suffix _1, the third _2", () => {
  const subject = name(
    [[CN, TAG.utf8, "a"]],
    [["2.5.4.11", TAG.utf8, "u"], [CN, TAG.utf8, "b"]],
    [[CN, TAG.utf8, "c"]],
  );
  assertEquals(components(subject), [["CN", "a"], ["OU", "u"], ["CN_1", "b"], ["CN_2", "c"]]);
});

test("every string type becomes the text it stands for", () => {
  const cases: [number, Uint8Array, string][] = [
    [TAG.utf8, utf8("Zürich 東京 😀"), "Zürich 東京 😀"],
    [TAG.printable, utf8("plain"), "plain"],
    [TAG.t61, fromLatin1("Z\xfcrich"), "Zürich"],
    [TAG.ia5, utf8("a@b"), "a@b"],
    [TAG.bmp, Uint8Array.of(0, 0x5a, 0x67, 0x71), "Z東"],
    [TAG.universal, Uint8Array.of(0, 1, 0xf6, 0, 0, 0, 0, 0x5a), "😀Z"],
    [TAG.utf8, utf8("\ufeffbom"), "\ufeffbom"],
  ];
  for (const [tag, value, expected] of cases) {
    assertEquals(components(name([[CN, tag, value]])), [["CN", expected]]);
  }
});

test("line breaks and bytes without a UTF-8 form are escaped in components", () => {
  const cases: [number, Uint8Array, string][] = [
    [TAG.utf8, utf8("a\nSSL_CLIENT_VERIFY=SUCCESS"), "a\\0ASSL_CLIENT_VERIFY=SUCCESS"],
    [TAG.utf8, utf8("good\0evil"), "good\\00evil"],
    [TAG.utf8, utf8("a\\0A"), "a\\\\0A"],
    [TAG.utf8, utf8("\x1b[2J\x7f"), "\\1B[2J\\7F"],
    [TAG.utf8, utf8("\x85\u2028\u2029"), "\\C2\\85\\E2\\80\\A8\\E2\\80\\A9"],
    [TAG.utf8, utf8("\x80\x9f\xa0\u2027\u202a"), "\\C2\\80\\C2\\9F\xa0\u2027\u202a"],
    [TAG.utf8, Uint8Array.of(0x61, 0xff, 0xc3, 0x0a), "a\\FF\\C3\\0A"],
    [TAG.t61, Uint8Array.of(0x85), "\\C2\\85"],
    [TAG.bmp, Uint8Array.of(0xd8, 0x00), "\\ED\\A0\\80"],
    [TAG.bmp, Uint8Array.of(0, 0x61, 0x62), "\\00ab"],
    [TAG.universal, Uint8Array.of(0xff, 0, 0, 0), "\\FF\\00\\00\\00"],
  ];
  for (const [tag, value, expected] of cases) {
    assertEquals(components(name([[CN, tag, value]])), [["CN", expected]]);
  }
});

test("a value that is not a string is printed as its encoding", () => {
  const value = sequence(element(TAG.integer, Uint8Array.of(5)));
  const subject = readCertificate(certificate({
    subject: sequence(
      element(TAG.set, sequence(Uint8Array.of(6, 3, 0x55, 4, 3), value)),
    ),
  })).subject;
  assertStrictEquals(oneLine(subject), "/CN=0\\x03\\x02\\x01\\x05");
});

test("a long text is cut between characters and marked as cut", () => {
  assertStrictEquals(escapeText("a".repeat(MAX_TEXT)).length, MAX_TEXT);
  const long = escapeText("a".repeat(MAX_TEXT + 1));
  assertStrictEquals(long.length, MAX_TEXT);
  assert(long.endsWith("a..."));
  const wide = escapeText("a" + "😀".repeat(MAX_TEXT));
  assert(wide.endsWith("😀..."));
  const line = oneLine(name([[CN, TAG.utf8, "\n".repeat(10_000)]]));
  assertStrictEquals(line.length, MAX_TEXT);
  assert(line.endsWith("..."));
});

test("a field of 10,000 plain characters is not cut", () => {
  const subject = name([[CN, TAG.utf8, "a".repeat(10_000)]]);
  assertStrictEquals(oneLine(subject), `/CN=${"a".repeat(10_000)}`);
  assertStrictEquals(components(subject)[0]?.[1], "a".repeat(10_000));
});
