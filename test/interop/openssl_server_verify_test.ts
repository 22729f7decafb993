/** Servers' certificates against `openssl verify -purpose sslserver`: every certificate of a table with
 *  every host of a table, and chains with one fault each. */

import { assertStrictEquals } from "@std/assert";
import { rmSync } from "node:fs";
import { after, test } from "node:test";
import { isFor } from "../../src/client/host_name.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { faultText } from "../../src/tls/chain_fault.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { makeTrust } from "../../src/tls/trust_files.ts";
import { verifyChain } from "../../src/tls/verify.ts";
import { folder, Maker, opensslVerdict, type Spec } from "./openssl_verify.ts";

after(() => rmSync(folder, { recursive: true }));

const CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n" +
  "subjectKeyIdentifier=hash\n";
const LEAF = "basicConstraints=CA:FALSE\n";
const usages = (extended: string, usage = "digitalSignature"): Spec => ({
  by: "root",
  ext: `${LEAF}extendedKeyUsage=${extended}\nkeyUsage=${usage}\n`,
});
const san = (names: string, cn = "common.example", by = "root"): Spec => ({
  by,
  cn,
  ext: names === "" ? LEAF : `${LEAF}subjectAltName=${names}\n`,
});

const NAMED: Readonly<Record<string, Spec>> = {
  one: san("DNS:a.example"),
  several: san("DNS:b.example,DNS:A.Example,IP:192.0.2.7,IP:2001:db8::1,email:a@c.example"),
  wild: san("DNS:*.a.example"),
  wildTop: san("DNS:*.example,DNS:*"),
  wildPart: san("DNS:f*.a.example,DNS:*r.a.example"),
  wildInside: san("DNS:b.*.example,DNS:*.*.example"),
  idn: san("DNS:xn--bcher-kva.example,DNS:*.xn--bcher-kva.example"),
  dotted: san("DNS:a.example."),
  addresses: san("IP:192.0.2.7,IP:::1"),
  addressNames: san("DNS:192.0.2.7,DNS:2001:db8::1"),
  common: san("", "a.example"),
  commonWild: san("", "*.a.example"),
  commonAddress: san("", "192.0.2.7"),
  mail: san("email:me@a.example", "a.example"),
  under: san("DNS:_x.a.example,DNS:a_b.example"),
};

const HOSTS =
  ("a.example A.EXAMPLE a.example. foo.a.example x.foo.a.example b.example common.example " +
    "example b.c.example xn--bcher-kva.example www.xn--bcher-kva.example _x.a.example a_b.example " +
    "192.0.2.7 192.0.2.8 2001:db8::1 2001:db8::2 ::1").split(" ");

/** Where we differ, with the reason. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  "one a.example.": "a dot at the end of the host does not count (RFC 1034 3.1)",
  "several a.example.": "the same",
  "common a.example.": "the same",
  "mail a.example.": "the same",
  "dotted a.example.": "a name in a certificate has no dot at the end (RFC 5280 4.2.1.6)",
  "wildPart foo.a.example": "a wildcard is a whole label (RFC 9525 6.3)",
  "wild _x.a.example": "an underscore is in use in names, and DNS allows it (RFC 2181 11)",
  "commonWild _x.a.example": "the same",
  "commonAddress 192.0.2.7": "a common name can be an address",
};

const SPECS: Readonly<Record<string, Spec>> = {
  root: { ext: CA },
  ...NAMED,
  server: usages("serverAuth"),
  both: usages("clientAuth,serverAuth"),
  client: usages("clientAuth"),
  any: usages("anyExtendedKeyUsage"),
  encipher: usages("serverAuth", "keyEncipherment"),
  signOnly: usages("serverAuth", "nonRepudiation"),
  signsCertificates: usages("serverAuth", "keyCertSign"),
  nsServer: { by: "root", ext: `${LEAF}nsCertType=server\n` },
  nsClient: { by: "root", ext: `${LEAF}nsCertType=client\n` },
  clientSub: { by: "root", ext: `${CA}extendedKeyUsage=clientAuth\n` },
  byClientSub: san("DNS:a.example", "x", "clientSub"),
  serverSub: { by: "root", ext: `${CA}extendedKeyUsage=serverAuth\n` },
  byServerSub: san("DNS:a.example", "x", "serverSub"),
  bound: { by: "root", ext: `${CA}nameConstraints=critical,permitted;DNS:x.example\n` },
  inBound: san("DNS:a.x.example", "x", "bound"),
  outOfBound: san("DNS:a.example", "x", "bound"),
  commonOutOfBound: san("", "a.example", "bound"),
};

const PURPOSE = "unsuitable certificate purpose";
const CHAINS: readonly (readonly [leaf: string, sent: readonly string[], says: string])[] = [
  ["server", [], "OK"],
  ["both", [], "OK"],
  ["client", [], PURPOSE],
  ["any", [], PURPOSE],
  ["encipher", [], "OK"],
  ["signOnly", [], PURPOSE],
  ["signsCertificates", [], PURPOSE],
  ["nsServer", [], "OK"],
  ["nsClient", [], PURPOSE],
  ["byClientSub", ["clientSub"], PURPOSE],
  ["byServerSub", ["serverSub"], "OK"],
  ["inBound", ["bound"], "OK"],
  ["outOfBound", ["bound"], "permitted subtree violation"],
  ["commonOutOfBound", ["bound"], "permitted subtree violation"],
];

const maker = new Maker(SPECS);
/** The certificates are made while the test runs. An hour later all of them are valid. */
const time = Math.floor(Date.now() / 1000) + 3600;

/** openssl's verdict. */
function theirs(leaf: string, sent: readonly string[], host?: string): string {
  return opensslVerdict({
    leaf: maker.pem(leaf),
    sent: sent.map((name) => maker.pem(name)),
    trusted: [maker.pem("root")],
    lists: [],
    depth: 9,
    time,
    purpose: "sslserver",
    ...host === undefined ? {} : { host },
  });
}

for (const name of Object.keys(NAMED)) {
  test(`openssl and this program match hosts with the same names: ${name}`, () => {
    const certificate = readCertificate(maker.der(name));
    for (const host of HOSTS) {
      const expected = theirs(name, [], host) === "OK";
      const differs = DIFFERENCES[`${name} ${host}`] !== undefined;
      assertStrictEquals(isFor(certificate, host), expected !== differs, host);
    }
  });
}

for (const [leaf, sent, says] of CHAINS) {
  test(`openssl and this program give the same verdict on a server: ${leaf}`, () => {
    assertStrictEquals(theirs(leaf, sent), says, "what openssl says");
    const trust = makeTrust([{ path: "root", bytes: new TextEncoder().encode(maker.pem("root")) }]);
    const options = { depth: 9, now: time * 1000, purpose: "server" } as const;
    const chain = sentChain([leaf, ...sent].map((name) => maker.der(name)));
    const ours = verifyChain(chain, trust, options);
    assertStrictEquals(ours.ok ? "OK" : faultText(ours.fault), says, "what we say");
  });
}
