import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import type { Trust } from "../../src/tls/trust.ts";
import { FatalError } from "../../src/errors.ts";
import { localFiles } from "../../src/files/files.ts";
import { loadTrust, type TrustFiles } from "../../src/tls/trust_files.ts";
import { verifyChain } from "../../src/tls/verify.ts";
import { certify, NOW, pemFile, revoke } from "./authority.ts";

const folder = mkdtempSync(join(tmpdir(), "sslserver-trust-"));
after(() => rmSync(folder, { recursive: true }));

const root = certify({ name: "root", ca: true });
const other = certify({ name: "other", ca: true });
const leaf = certify({ name: "leaf", by: root });

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const trustOf = (files: TrustFiles): Trust => loadTrust(files).trust;
const pem = (holder: { der: Uint8Array }) => encodePem("CERTIFICATE", holder.der);

function accepts(trust: Trust, holder = leaf): boolean {
  return verifyChain(sentChain([holder.der]), trust, { depth: 1, now: NOW, purpose: "client" })
    .ok;
}

test("without authorities no client is trusted", () => {
  assertStrictEquals(accepts(trustOf({})), false);
  assertEquals(trustOf({}).authorities, []);
  assertEquals(trustOf({ caFile: "", caDir: "" }).files, []);
});

test("authorities come from a PEM file with text around, and from DER", () => {
  const path = write("ca.pem", `CN=root\n${pem(other)}\n# more\n${pem(root)}${pem(root)}`);
  const trust = trustOf({ caFile: path });
  assertStrictEquals(accepts(trust), true);
  assertEquals(trust.authorities.map(pem), [pem(other), pem(root)]);
  assertEquals(trust.files, [path]);
  assertStrictEquals(accepts(trustOf({ caFile: write("ca.der", root.der) })), true);
});

test("a folder of plain files is read, files of other names are not", () => {
  write("plain/a.pem", pem(other));
  write("plain/b.crt", pem(root));
  write("plain/README", "no certificate");
  const trust = trustOf({ caDir: join(folder, "plain") });
  assertStrictEquals(accepts(trust), true);
  assertEquals(
    trust.files,
    ["plain", "plain/a.pem", "plain/b.crt"].map((name) => join(folder, name)),
  );
});

test("in a folder with hashed names only these files are read", () => {
  write("hashed/root.pem", pem(root));
  write("hashed/other.pem", pem(other));
  symlinkSync("other.pem", join(folder, "hashed/01234567.0"));
  const caDir = join(folder, "hashed");
  assertStrictEquals(accepts(trustOf({ caDir })), false);
  symlinkSync("root.pem", join(folder, "hashed/89abcdef.0"));
  assertStrictEquals(accepts(trustOf({ caDir })), true);
  write("hashed/89abcdef.r0", encodePem("X509 CRL", revoke(root, leaf)));
  assertStrictEquals(accepts(trustOf({ caDir })), false);
  assertStrictEquals(accepts(trustOf({ caDir }), certify({ name: "x", by: root })), true);
});

test("the authorities of file and folder are all trusted", () => {
  const caFile = write("file.pem", pem(other));
  const trust = trustOf({ caFile, caDir: join(folder, "plain") });
  assertStrictEquals(accepts(trust), true);
  assertStrictEquals(trust.authorities.length, 2);
});

test("revocation lists come in PEM and in DER", () => {
  const caFile = write("root.pem", pem(root));
  const list = revoke(root, leaf);
  for (const content of [list, encodePem("X509 CRL", list)]) {
    assertStrictEquals(accepts(trustOf({ caFile, crlFile: write("list", content) })), false);
  }
  const crlFile = write("empty-list", revoke(root));
  assertStrictEquals(accepts(trustOf({ caFile, crlFile })), true);
});

const list = encodePem("X509 CRL", revoke(root));
const BROKEN = pem(root).replace(/MI/, "MJ");
const FAULTS: readonly (readonly [
  claim: string,
  files: () => TrustFiles,
  message: RegExp,
])[] = [
  [
    "a file that is not there",
    () => ({ caFile: join(folder, "none") }),
    /^unable to read CA file \S+none: no such file or directory$/i,
  ],
  [
    "a folder as a file",
    () => ({ caFile: folder }),
    /^unable to read CA file .*: a directory, not a regular file$/,
  ],
  ["a device", () => ({ caFile: "/dev/zero" }), /: a device, not a regular file$/],
  [
    "a file above 16 MiB",
    () => ({ caFile: write("large", new Uint8Array((16 << 20) + 1)) }),
    /: larger than 16777216 bytes$/,
  ],
  [
    "an empty file",
    () => ({ caFile: write("empty", "") }),
    /^unable to use CA file .*: the file is empty$/,
  ],
  [
    "a file without certificates",
    () => ({ caFile: write("text", "hello") }),
    /^unable to use CA file .*text: no certificate in it$/,
  ],
  ["a broken certificate", () => ({ caFile: write("broken", BROKEN) }), /broken: (?:x509|pem): /],
  [
    "a certificate with trust settings",
    () => ({ caFile: write("trusted", encodePem("TRUSTED CERTIFICATE", root.der)) }),
    /TRUSTED CERTIFICATE is not supported: convert it with openssl x509/,
  ],
  [
    "a folder that is not there",
    () => ({ caDir: join(folder, "none") }),
    /^unable to read CA folder \S+none: no such/i,
  ],
  [
    "a folder without certificates",
    () => ({ caDir: join(write("bare/README", ""), "..") }),
    /^unable to use CA folder \S+bare: no file in it is named like a certificate$/,
  ],
  [
    "a broken file in a folder",
    () => ({ caDir: join(write("bad/x.pem", BROKEN), "..") }),
    /^unable to use CA file \S+x\.pem: /,
  ],
  [
    "a list that is none",
    () => ({ crlFile: write("no-list", pem(root)) }),
    /^unable to use revocation list \S+no-list: no X509 CRL in it, it is a certificate$/,
  ],
  [
    "a broken list",
    () => ({ crlFile: write("bad-list", list.replace(/MI/, "MJ")) }),
    /^unable to use revocation list \S+bad-list: (?:crl|pem): /,
  ],
];

for (const [claim, files, message] of FAULTS) {
  test(`${claim} is told with file, reason and remedy`, () => {
    const error = assertThrows(() => loadTrust(files()), FatalError, message);
    assert(error.hint);
  });
}

test("more than 4,096 certificates are refused", () => {
  const { bytes } = pemFile("CERTIFICATE", ...Array.from({ length: 2049 }, () => root.der));
  const from = { ...localFiles, list: () => ["a.pem", "b.pem"], read: () => bytes };
  assertThrows(() => loadTrust({ caDir: "/x" }, from), Error, /above 4096 certificates/);
});
