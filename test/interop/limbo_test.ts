/** Compares our results with those that x509-limbo expects (C2SP, https://x509-limbo.com, Apache License
 *  2.0). test/data/x509-limbo.jsonl has its cases about names, name constraints, extended key usage and
 *  CVEs, one per line, without unused fields. X509_LIMBO names a complete limbo.json to be tested in place
 *  of them. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isFor } from "../../src/client/host_name.ts";
import { decodePem } from "../../src/codec/x509/pem.ts";
import { faultText } from "../../src/tls/chain_fault.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { makeTrust } from "../../src/tls/trust_files.ts";
import { verifyChain } from "../../src/tls/verify.ts";

interface Case {
  id: string;
  expected_result: "SUCCESS" | "FAILURE";
  validation_kind: "CLIENT" | "SERVER";
  validation_time?: string | null;
  max_chain_depth?: number | null;
  trusted_certs: string[];
  untrusted_intermediates?: string[];
  peer_certificate: string;
  crls?: string[];
  expected_peer_name?: { kind: string; value: string } | null;
}

/** Cases that we accept against x509-limbo, by reason. In each, a trusted authority has issued the
 *  certificate, but in a form that a rule forbids. None admits a client without a trusted certificate. */
const ACCEPTED: readonly (readonly [reason: string, ids: string])[] = [
  [
    "Rules for who issues certificates (RFC 5280 chapter 4); a verifier need not enforce them, and " +
    "OpenSSL does not",
    `rfc5280::aki::intermediate-missing-aki rfc5280::aki::leaf-missing-aki
    rfc5280::leaf-ku-keycertsign rfc5280::nc::permitted-dns-match-noncritical
    rfc5280::pc::ica-noncritical-pc rfc5280::root-non-critical-basic-constraints
    rfc5280::san::noncritical-with-empty-subject rfc5280::san::underscore-dns
    rfc5280::serial::too-long rfc5280::serial::zero
    rfc5280::ski::intermediate-missing-ski rfc5280::ski::root-missing-ski`,
  ],
  [
    "A number tells lists apart; which of several is the newest is not asked: what any names is revoked",
    "crl::crlnumber-critical crl::crlnumber-missing",
  ],
  [
    "Many authorities write DNS constraints with a dot in front; as in OpenSSL, the names below count",
    "rfc5280::nc::invalid-dnsname-leading-period",
  ],
  [
    "Rules of the web's authorities (CA/Browser Forum), which are not about private ones",
    `webpki::aki::root-with-aki-all-fields webpki::aki::root-with-aki-authoritycertissuer
    webpki::aki::root-with-aki-authoritycertserialnumber
    webpki::aki::root-with-aki-missing-keyidentifier webpki::cn::case-mismatch
    webpki::cn::ipv4-hex-mismatch webpki::cn::ipv4-leading-zeros-mismatch
    webpki::cn::ipv6-non-rfc5952-mismatch webpki::cn::ipv6-uncompressed-mismatch
    webpki::cn::ipv6-uppercase-mismatch webpki::cn::not-in-san webpki::cn::punycode-not-in-san
    webpki::cn::utf8-vs-punycode-mismatch webpki::ee-basicconstraints-ca webpki::eku::ee-anyeku
    webpki::eku::ee-critical-eku webpki::eku::ee-without-eku webpki::eku::root-has-eku
    webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf
    webpki::forbidden-rsa-not-divisible-by-8-in-root webpki::malformed-aia webpki::san::no-san
    webpki::san::public-suffix-multi-label-wildcard-san
    webpki::san::public-suffix-private-namespace-wildcard-san
    webpki::san::san-critical-with-nonempty-subject webpki::v1-cert`,
  ],
];
const REFUSED: readonly (readonly [reason: string, ids: string])[] = [
  [
    "An anchor must be self-signed, as in OpenSSL without -partial_chain",
    "cve::cve-2024-0567 rfc5280::root-and-intermediate-swapped",
  ],
  [
    "VERIFYDEPTH counts every intermediate, self-issued or not, as OpenSSL's depth does",
    "pathlen::max-chain-depth-1-self-issued",
  ],
  [
    "A leaf must be allowed to sign (keyUsage), as TLS with ephemeral keys wants it",
    "pathlen::validation-ignores-pathlen-in-leaf rfc5280::ca-as-leaf",
  ],
  [
    "The time is compared to the millisecond: half a second after notAfter is after it",
    "rfc5280::validity::notafter-fractional",
  ],
];

const idsOf = (table: typeof ACCEPTED) => new Set(table.flatMap(([, ids]) => ids.split(/\s+/)));

/** The cases were made in June 2026 and are valid for a long time. */
const WHEN = "2026-06-15T00:00:00Z";

function verdict(one: Case): string {
  const file = (pem: string) => ({ path: "limbo", bytes: new TextEncoder().encode(pem) });
  const der = (pem: string) =>
    decodePem(new TextEncoder().encode(pem))[0]?.bytes ?? new Uint8Array();
  try {
    const trust = makeTrust(one.trusted_certs.map(file), (one.crls ?? []).map(file));
    const chain = [one.peer_certificate, ...one.untrusted_intermediates ?? []].map(der);
    const name = one.expected_peer_name;
    const found = verifyChain(sentChain(chain), trust, {
      depth: one.max_chain_depth ?? 8,
      now: Date.parse(one.validation_time ?? WHEN),
      purpose: one.validation_kind === "CLIENT" ? "client" : "server",
    });
    if (!found.ok) return faultText(found.fault);
    const [leaf] = found.chain;
    return !name || (leaf && isFor(leaf, name.value)) ? "OK" : "hostname mismatch";
  } catch (error) {
    return `no trust: ${error}`;
  }
}

const whole = process.env["X509_LIMBO"];
const DATA = fromFileUrl(new URL("../data/x509-limbo.jsonl", import.meta.url));
const CASES: Case[] = whole
  ? JSON.parse(readFileSync(whole, "utf8")).testcases
  : readFileSync(join(DATA), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));

const accepted = idsOf(ACCEPTED);
const refused = idsOf(REFUSED);

for (const one of CASES) {
  test(`x509-limbo: ${one.id}`, () => {
    const good = one.expected_result === "SUCCESS";
    const differs = (good ? refused : accepted).has(one.id);
    const says = verdict(one);
    assertStrictEquals(says === "OK", good !== differs, says);
  });
}

test("every difference in the table is a case of the suite", {
  skip: !whole && "X509_LIMBO does not name the suite",
}, () => {
  const ids = new Set(CASES.map(({ id }) => id));
  assertEquals([...accepted, ...refused].filter((id) => !ids.has(id)), []);
});
