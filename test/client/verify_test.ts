/** The verifier of servers, and the words for what it refuses: where authorities come from, the
 *  options, and one row for each reason. */

import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { serverFaultWords } from "../../src/client/server_faults.ts";
import { serverVerifier, type ServerVerifierConfig } from "../../src/client/verify.ts";
import { bitString, element, objectIdentifier, sequence } from "../../src/codec/der_write.ts";
import { latin1 } from "../../src/codec/bytes.ts";
import { oneLine } from "../../src/codec/x509/names.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { EXIT, FatalError } from "../../src/errors.ts";
import { type Files, localFiles } from "../../src/files/files.ts";
import { systemAuthorities } from "../../src/tls/system_authorities.ts";
import { loadTrust } from "../../src/tls/trust_files.ts";
import { alternativeNames, extension } from "../codec/x509/samples.ts";
import { certify, type Holder, NOW, revoke } from "../tls/authority.ts";

const folder = mkdtempSync(join(tmpdir(), "sslserver-verifier-"));
after(() => rmSync(folder, { recursive: true }));

/** Writes a file and returns its path. */
function file(name: string, label: string, ...ders: Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, ders.map((der) => encodePem(label, der)).join(""));
  return path;
}
const certificates = (name: string, ...holders: Holder[]): string =>
  file(name, "CERTIFICATE", ...holders.map(({ der }) => der));

const usage = (purpose: number) =>
  extension("2.5.29.37", sequence(objectIdentifier(`1.3.6.1.5.5.7.3.${purpose}`)));
const HOST = "a.example";
const name = alternativeNames([0x82, HOST]);

const root = certify({ name: "root", ca: true });
const sub = certify({ name: "sub", by: root, ca: true });
const sub2 = certify({ name: "sub2", by: sub, ca: true });
const other = certify({ name: "other", ca: true });
const server = certify({ name: "server", by: root, extensions: [name, usage(1)] });
const below = certify({ name: "below", by: sub, extensions: [name] });
const deep = certify({ name: "deep", by: sub2, extensions: [name] });
const self = certify({ name: "self", extensions: [name] });
const onlyX = extension(
  "2.5.29.30",
  sequence(element(0xa0, sequence(element(0x82, new TextEncoder().encode("x.example"))))),
  true,
);
const bound = certify({ name: "bound", by: root, ca: true, extensions: [onlyX] });
const expired = certify({
  name: "expired",
  by: root,
  until: Date.UTC(2029, 0, 2, 3, 4, 5),
  extensions: [name],
});

const ROOT = certificates("root.pem", root);
const LISTS = file("lists.pem", "X509 CRL", revoke(root, server), revoke(sub));
const ROOT_LIST = file("list.pem", "X509 CRL", revoke(root));

type Overrides = Partial<ServerVerifierConfig>;

const verifier = (more: Overrides = {}) =>
  serverVerifier({
    checkChain: true,
    checkName: true,
    depth: 1,
    caFile: ROOT,
    env: {},
    now: () => NOW,
    ...more,
  }).verify;

/** The words for the fault of these certificates; undefined: accepted. */
function refusal(chain: readonly Holder[], host = HOST, more: Overrides = {}): string | undefined {
  const fault = verifier(more)(chain.map(({ der }) => der), host);
  return fault && serverFaultWords(fault).text;
}

const issued = (more: Omit<Parameters<typeof certify>[0], "name">): Holder =>
  certify({ name: "one", by: root, extensions: [name], ...more });

const REFUSED: readonly (readonly [
  claim: string,
  chain: readonly Holder[],
  words: string,
  more?: Overrides,
])[] = [
  ["no certificate", [], "peer did not return a certificate"],
  [
    "an unreadable certificate",
    [{ ...server, der: Uint8Array.of(1) }],
    "unreadable certificate: x509: certificate: unexpected type 1 at byte 0",
  ],
  [
    "an unknown authority",
    [certify({ name: "stray", by: other, extensions: [name] })],
    "unable to get local issuer certificate: /CN=stray is issued by /CN=other, " +
    "which is not among the authorities",
  ],
  [
    "a missing intermediate",
    [below],
    "unable to get local issuer certificate: /CN=below is issued by /CN=sub, " +
    "which is not among the authorities",
  ],
  [
    "an unknown root that is sent along",
    [certify({ name: "stray", by: other, extensions: [name] }), other],
    "self-signed certificate in certificate chain: /CN=other is not among the authorities",
  ],
  [
    "a self-signed certificate",
    [self],
    "self-signed certificate: /CN=self is not among the authorities",
  ],
  [
    "an expired certificate",
    [expired],
    "certificate has expired: /CN=expired was valid until Jan  2 03:04:05 2029 GMT",
  ],
  [
    "a certificate that is not yet valid",
    [issued({ from: Date.UTC(2031, 5, 1) })],
    "certificate is not yet valid: /CN=one is valid from Jun  1 00:00:00 2031 GMT",
  ],
  [
    "a certificate of a client",
    [issued({ extensions: [name, usage(2)] })],
    "unsuitable certificate purpose: /CN=one",
  ],
  [
    "a key for nothing of TLS",
    [issued({ extensions: [name, extension("2.5.29.15", bitString(Uint8Array.of(0x04), 2))] })],
    "unsuitable certificate purpose: /CN=one",
  ],
  [
    "two intermediates where one is allowed",
    [deep, sub2, sub],
    "certificate chain too long: more than 1 between the server's certificate and the authority's",
  ],
  [
    "an intermediate where none is allowed",
    [below, sub],
    "certificate chain too long: more than 0 between the server's certificate and the authority's",
    { depth: 0 },
  ],
  [
    "a revoked certificate",
    [server],
    "certificate revoked: /CN=server, by the list of /CN=root",
    { env: { CRLFILE: LISTS } },
  ],
  [
    "an authority without a list",
    [below, sub],
    "unable to get certificate CRL: there is none of /CN=sub",
    { env: { CRLFILE: ROOT_LIST } },
  ],
  [
    "a list that has expired",
    [issued({})],
    "CRL has expired: that of /CN=root",
    { env: { CRLFILE: ROOT_LIST }, now: () => Date.UTC(2032, 0, 1) },
  ],
  [
    "a broken signature",
    [{ ...server, der: server.der.with(-1, (server.der.at(-1) ?? 0) ^ 1) as Uint8Array }],
    "certificate signature failure: /CN=server",
  ],
  [
    "an authority that may not issue for this host",
    [certify({ name: "out", by: bound, extensions: [name] }), bound],
    "permitted subtree violation: /CN=out",
  ],
  [
    "an issuer that is no authority",
    [certify({ name: "child", by: self, extensions: [name] })],
    "invalid CA certificate: /CN=self",
    { caFile: certificates("self.pem", self) },
  ],
];

for (const [claim, chain, words, more] of REFUSED) {
  test(`refused with its reason: ${claim}`, () => {
    assertStrictEquals(refusal(chain, HOST, more), words);
    // The chain is not verified with -X, but a certificate that cannot be read names no host.
    const readable = !/^(?:peer|unreadable)/.test(words);
    assertStrictEquals(
      refusal(chain, HOST, { ...more, checkChain: false }),
      readable ? undefined : words,
    );
  });
}

test("good chains are accepted, again and again", () => {
  const accept = verifier();
  for (let round = 0; round < 3; round++) {
    assertStrictEquals(accept([server.der], HOST), undefined);
    assertStrictEquals(accept([server.der, root.der], HOST), undefined);
    assertStrictEquals(accept([below.der, sub.der], HOST), undefined);
    assertStrictEquals(
      accept([below.der, root.der, other.der, sub.der], HOST),
      undefined,
      "any order",
    );
  }
  assertStrictEquals(refusal([deep, sub2, sub], HOST, { depth: 2 }), undefined);
  assertStrictEquals(refusal([self], HOST, { caFile: certificates("self.pem", self) }), undefined);
  assertStrictEquals(refusal([below, sub], HOST, { env: { CRLFILE: LISTS } }), undefined);
});

test("a certificate for another host is refused, and its names are listed", () => {
  const many = Array.from({ length: 8 }, (_, i) => [0x82, `n${i}.example`] as const);
  const rows: [extensions: Uint8Array[], common: string, words: string][] = [
    [[name], "x", "a.example"],
    [
      [alternativeNames(...many)],
      "x",
      "n0.example, n1.example, n2.example, n3.example, n4.example and 3 more",
    ],
    [[alternativeNames([0x87, Uint8Array.of(192, 0, 2, 7)])], "x", "192.0.2.7"],
    [[], "common.example", "common.example"],
    [[alternativeNames([0x82, "a\x1b[2J\n\u00e9"])], "x", "a?[2J??"],
    [[alternativeNames([0x82, "y".repeat(101)])], "x", `${"y".repeat(100)}...`],
  ];
  for (const [extensions, common, words] of rows) {
    const one = certify({ name: common, by: root, extensions });
    assertStrictEquals(
      refusal([one], "b.example"),
      `hostname mismatch: the certificate is for ${words}, not for b.example`,
    );
    assertStrictEquals(refusal([one], "b.example", { checkName: false }), undefined);
  }
  assertStrictEquals(
    refusal([server], "b\x07"),
    "hostname mismatch: the certificate is for a.example, not for b?",
  );
  assertStrictEquals(
    refusal([expired], "b.example"),
    "certificate has expired: /CN=expired was valid until Jan  2 03:04:05 2029 GMT",
    "the chain comes first",
  );
});

test("a common name that is an address is subject to constraints on addresses", () => {
  const net = element(0x87, Uint8Array.of(192, 0, 2, 0, 255, 255, 255, 0));
  const constrained = extension("2.5.29.30", sequence(element(0xa1, sequence(net))), true);
  const by = certify({ name: "net", by: root, ca: true, extensions: [constrained] });
  const inside = certify({ name: "192.0.2.7", by });
  const outside = certify({ name: "198.51.100.7", by });
  assertStrictEquals(
    refusal([inside, by], "192.0.2.7"),
    "excluded subtree violation: /CN=192.0.2.7",
  );
  assertStrictEquals(refusal([outside, by], "198.51.100.7"), undefined);
});

test("what a server's certificate says is made printable and is cut", () => {
  const nasty = certify({ name: `\x1b]0;x\x07${"n".repeat(200)}`, extensions: [name] });
  const words = refusal([nasty]) ?? "";
  assertMatch(words, /^[\x20-\x7e]{1,400}$/);
  assert(words.includes("/CN=\\x1B]0;x\\x07nnn"), words);
});

test("-a and -A come before CAFILE and CADIR, and these before the system's authorities", () => {
  const ours = certificates("ours.pem", root);
  const wrong = certificates("wrong.pem", other);
  const caDir = join(folder, "authorities");
  mkdirSync(caDir);
  certificates("authorities/root.pem", root);
  const good = (more: Overrides): boolean => refusal([server], HOST, more) === undefined;
  assert(good({ caFile: ours, env: { CAFILE: wrong, SSL_CERT_FILE: wrong } }));
  assert(!good({ caFile: wrong, env: { CAFILE: ours, SSL_CERT_FILE: ours } }));
  assert(good({ caFile: undefined, env: { CAFILE: ours, SSL_CERT_FILE: wrong } }));
  assert(good({ caFile: undefined, env: { SSL_CERT_FILE: ours } }));
  assert(good({ caFile: undefined, env: { CAFILE: "", CADIR: "", SSL_CERT_FILE: ours } }));
  assert(!good({ caFile: undefined, env: { SSL_CERT_FILE: wrong } }));
  assert(good({ caFile: undefined, caDir, env: { CAFILE: wrong } }));
  assert(good({ caFile: wrong, caDir }), "both count");
});

/** Files with these paths and nothing else. */
const holding = (...paths: string[]): Pick<Files, "stamp"> => ({
  stamp: (path) => paths.includes(path) ? "1" : undefined,
});

test("the system's authorities are the first bundle that exists, else a folder", () => {
  const debian = "/etc/ssl/certs/ca-certificates.crt";
  const fedora = "/etc/pki/tls/certs/ca-bundle.crt";
  const mac = "/etc/ssl/cert.pem";
  assertEquals(systemAuthorities({}, holding(debian, mac, "/etc/ssl/certs")), {
    caFile: debian,
  });
  assertEquals(systemAuthorities({}, holding(fedora, mac)), { caFile: fedora });
  assertEquals(systemAuthorities({}, holding(mac)), { caFile: mac });
  assertEquals(systemAuthorities({}, holding("/etc/ssl/certs")), { caDir: "/etc/ssl/certs" });
  assertStrictEquals(systemAuthorities({}, holding()), undefined);
  assertEquals(systemAuthorities({ SSL_CERT_DIR: "/x" }, holding(debian)), {
    caFile: undefined,
    caDir: "/x",
  });
});

test("without any authority, and with a broken file or list, the verifier is not made", () => {
  const rows: [more: Overrides, message: RegExp, hint: RegExp][] = [
    [
      { caFile: undefined, files: { ...localFiles, stamp: () => undefined } },
      /^unable to verify servers: the system has no authorities/,
      /install ca-certificates, or name a file/,
    ],
    [{ caFile: join(folder, "absent") }, /^unable to read CA file .*: no such file/, /PEM form/],
    [{ caFile: file("empty.pem", "CERTIFICATE") }, /: the file is empty$/, /PEM form/],
    [{ caFile: file("key.pem", "PRIVATE KEY", root.der) }, /it is a private key$/, /PEM form/],
    [{ env: { CRLFILE: join(folder, "absent") } }, /^unable to read revocation list /, /complete/],
  ];
  for (const [more, message, hint] of rows) {
    const error = assertThrows(() => verifier(more), FatalError, message);
    assertMatch(error.hint ?? "", hint);
    assertStrictEquals(error.code, EXIT.system);
  }
  assertStrictEquals(refusal([self], HOST, { checkChain: false, caFile: "/absent" }), undefined);
});

test("only the certificates with the wanted name in a bundle are decoded", () => {
  const broken = { ...other, der: other.der.slice() };
  broken.der[6] = 0xff; // inside the serial number's length
  const another = certify({ name: "c", ca: true });
  const bundle = certificates("bundle.pem", broken, another, root);
  const { trust } = loadTrust({ caFile: bundle }, localFiles, undefined, true);
  const subjects = (): string[] => trust.authorities.map(({ subject }) => oneLine(subject));
  assertEquals(subjects(), []);
  assertEquals(trust.named(latin1(root.name)).length, 1);
  assertEquals(subjects(), ["/CN=root"]);
  assertEquals(trust.named(latin1(other.name)).length, 0, "a broken authority is none");
  assertEquals(trust.named(latin1(root.name)).length, 1);
  assertEquals(refusal([server], HOST, { caFile: bundle }), undefined);
});
