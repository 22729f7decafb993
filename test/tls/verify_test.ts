/** Cases that the table of `test/interop/openssl_verify_test.ts` lacks: bounds, hostile chains, the
 *  caches, the name of the peer. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { test } from "node:test";
import { faultText } from "../../src/tls/chain_fault.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import type { Trust } from "../../src/tls/trust.ts";
import { makeTrust } from "../../src/tls/trust_files.ts";
import {
  MAX_FOREIGN_SIGNATURES,
  MAX_SENT,
  MAX_SENT_BYTES,
  verifyChain,
} from "../../src/tls/verify.ts";
import { alternativeNames } from "../codec/x509/samples.ts";
import { damaged, forAll, runs } from "../codec/properties.ts";
import { certify, type Holder, NOW, pemFile, revoke } from "./authority.ts";
import { bitString, objectIdentifier, sequence, unsigned } from "../../src/codec/der_write.ts";

const root = certify({ name: "root", ca: true });
const sub = certify({ name: "sub", by: root, ca: true });
const leaf = certify({
  name: "leaf",
  by: sub,
  extensions: [alternativeNames([0x82, "client.example"], [0x82, "*.many.example"])],
});

function trustOf(...holders: Holder[]): Trust {
  return makeTrust([pemFile("CERTIFICATE", ...holders.map(({ der }) => der))]);
}

function verdict(
  chain: readonly Holder[],
  trust: Trust,
  more: { depth?: number; now?: number; hostName?: string } = {},
): string {
  const options = { depth: 1, now: NOW, purpose: "client", ...more } as const;
  const found = verifyChain(sentChain(chain.map(({ der }) => der)), trust, options);
  return found.ok ? "OK" : faultText(found.fault);
}

test("an accepted chain is returned from the leaf to the anchor", () => {
  const options = { depth: 1, now: NOW, purpose: "client" } as const;
  const found = verifyChain(sentChain([leaf.der, root.der, sub.der]), trustOf(root), options);
  assert(found.ok);
  assertEquals(found.chain.map(({ der }) => der), [leaf.der, sub.der, root.der]);
});

test("no certificate, an unreadable one and too many are refused", () => {
  const trust = trustOf(root);
  const options = { depth: 1, now: NOW, purpose: "client" } as const;
  const reasonOf = (...chain: Uint8Array[]) => {
    const found = verifyChain(sentChain(chain), trust, options);
    return found.ok ? "OK" : faultText(found.fault);
  };
  assertStrictEquals(reasonOf(), "peer did not return a certificate");
  assertMatch(reasonOf(Uint8Array.of(1)), /^unreadable certificate: x509: /);
  assertMatch(reasonOf(leaf.der, sub.der, new Uint8Array()), /^unreadable certificate: x509: /);
  const many = Array<Uint8Array>(MAX_SENT).fill(sub.der);
  assertStrictEquals(reasonOf(leaf.der, ...many.slice(1)), "OK");
  assertStrictEquals(reasonOf(leaf.der, ...many), "certificate chain too long");
});

test("without authorities no client is accepted", () => {
  const nobody = makeTrust([]);
  assertStrictEquals(
    verdict([leaf, sub, root], nobody, { depth: 9 }),
    "self-signed certificate in certificate chain",
  );
  assertStrictEquals(verdict([root], nobody), "self-signed certificate");
  assertStrictEquals(verdict([leaf], nobody), "unable to get local issuer certificate");
});

test("dates count to the millisecond, both ends included", () => {
  const short = certify({ name: "short", by: root, until: NOW });
  const trust = trustOf(root);
  assertStrictEquals(verdict([short], trust), "OK");
  assertStrictEquals(verdict([short], trust, { now: NOW + 1 }), "certificate has expired");
  const from = Date.UTC(2025, 0, 1);
  assertStrictEquals(verdict([short], trust, { now: from }), "OK");
  assertStrictEquals(verdict([short], trust, { now: from - 1 }), "certificate is not yet valid");
});

test("dates and lists are checked each time, despite the cache", () => {
  const trust = trustOf(root);
  assertStrictEquals(verdict([leaf, sub], trust), "OK");
  const late = Date.UTC(2040, 0, 1);
  assertStrictEquals(verdict([leaf, sub], trust, { now: late }), "certificate has expired");
  assertStrictEquals(verdict([leaf, sub], trust, { depth: 0 }), "certificate chain too long");
  assertStrictEquals(verdict([leaf, sub], trust), "OK");
});

test("signatures accepted under one set of authorities do not count for another", () => {
  assertStrictEquals(verdict([leaf, sub], trustOf(root)), "OK");
  const namesake = certify({ name: "root", ca: true });
  assertStrictEquals(verdict([leaf, sub], trustOf(namesake)), "certificate signature failure");
});

test("the cache of accepted signatures does not lend them to a changed certificate", () => {
  const trust = trustOf(root);
  assertStrictEquals(verdict([leaf, sub], trust), "OK");
  const forged = { ...leaf, der: leaf.der.slice() };
  const last = forged.der.length - 1;
  forged.der[last] = (forged.der[last] ?? 0) ^ 1;
  assertStrictEquals(verdict([forged, sub], trust), "certificate signature failure");
});

test("-z: the name of the peer must be in the certificate", () => {
  const trust = trustOf(root);
  const named = (hostName: string) => verdict([leaf, sub], trust, { hostName });
  assertStrictEquals(named("client.example"), "OK");
  assertStrictEquals(named("Client.Example."), "OK");
  assertStrictEquals(named("a.many.example"), "OK");
  for (const host of ["a.b.many.example", "leaf", "other.example", "", "192.0.2.1"]) {
    assertStrictEquals(named(host), "hostname mismatch", host);
  }
});

test("a fault in the chain is reported before a name that does not match", () => {
  const reason = verdict([leaf, sub], trustOf(root), { hostName: "x.example", depth: 0 });
  assertStrictEquals(reason, "certificate chain too long");
});

test("revoked certificates are refused, at every place of the chain", () => {
  const trust = (...lists: Uint8Array[]) =>
    makeTrust([pemFile("CERTIFICATE", root.der)], [pemFile("X509 CRL", ...lists)]);
  const [none, noneOfSub] = [revoke(root), revoke(sub)];
  assertStrictEquals(verdict([leaf, sub], trust(none, noneOfSub)), "OK");
  assertStrictEquals(verdict([leaf, sub], trust(none, revoke(sub, leaf))), "certificate revoked");
  assertStrictEquals(
    verdict([leaf, sub], trust(revoke(root, sub), noneOfSub)),
    "certificate revoked",
  );
  assertStrictEquals(verdict([leaf, sub], trust(none)), "unable to get certificate CRL");
});

test("of several good lists one that names the certificate is enough, in any order", () => {
  const direct = certify({ name: "direct", by: root });
  const lists = [revoke(root), revoke(root, direct)];
  for (const order of [lists, lists.toReversed()]) {
    const trust = makeTrust([pemFile("CERTIFICATE", root.der)], [pemFile("X509 CRL", ...order)]);
    assertStrictEquals(verdict([direct], trust), "certificate revoked");
  }
});

test("a list beside the authorities switches checking on", () => {
  const direct = certify({ name: "direct", by: root });
  const bytes = new Uint8Array([
    ...pemFile("CERTIFICATE", root.der).bytes,
    ...pemFile("X509 CRL", revoke(root, direct)).bytes,
  ]);
  const trust = makeTrust([{ path: "both.pem", bytes }]);
  assertStrictEquals(trust.checksRevocation, true);
  assertStrictEquals(verdict([direct], trust), "certificate revoked");
});

test("a list of a namesake with another key counts for nothing", () => {
  const namesake = certify({ name: "root", ca: true });
  const direct = certify({ name: "direct", by: root });
  const files = [pemFile("CERTIFICATE", root.der, namesake.der)];
  const trust = makeTrust(files, [pemFile("X509 CRL", revoke(namesake))]);
  assertStrictEquals(verdict([direct], trust), "CRL signature failure");
});

test("certificates that sign each other end the search, with the right verdict", () => {
  // Two names with ten certificates each. Every one has signed all of the other name, so the number of
  // possible paths grows as a factorial.
  const first = certify({ name: "ring", ca: true });
  const other = certify({ name: "ring2", ca: true });
  const ring: Holder[] = [];
  for (let i = 0; i < 10; i++) {
    ring.push(certify({ name: "ring", by: other, ca: true, keyOf: first }));
    ring.push(certify({ name: "ring2", by: first, ca: true, keyOf: other }));
  }
  const client = certify({ name: "client", by: first });
  const trust = trustOf(root);
  const began = process.cpuUsage();
  assertStrictEquals(
    verdict([client, ...ring], trust, { depth: 30 }),
    TOO_MANY,
  );
  assert(process.cpuUsage(began).user < 2_000_000);
  assertStrictEquals(verdict([client, ...ring], trust), TOO_MANY);
});

const TOO_MANY = "too many possible certificate chains";

test(`a good chain is found among ${MAX_FOREIGN_SIGNATURES} certificates of one name, not among more`, () => {
  const decoys = Array.from(
    { length: MAX_FOREIGN_SIGNATURES + 1 },
    () => certify({ name: "sub", by: root, ca: true }),
  );
  assertStrictEquals(verdict([leaf, ...decoys.slice(1), sub], trustOf(root)), "OK");
  assertStrictEquals(verdict([leaf, ...decoys, sub], trustOf(root)), TOO_MANY);
  assertStrictEquals(
    verdict([leaf, ...decoys], trustOf(root, sub), { depth: 1 }),
    "OK",
    "ours come first",
  );
});

test("valid signatures by the client's own keys count like invalid ones", () => {
  // Each of these is a valid issuer of the client's certificate, but no path leads to a root.
  const own = certify({ name: "own", ca: true });
  const client = certify({ name: "client", by: own });
  const dead = Array.from(
    { length: MAX_SENT - 1 },
    () => certify({ name: "own", by: leaf, ca: true, keyOf: own }),
  );
  const trust = trustOf(root);
  const none = "unable to get local issuer certificate";
  assertStrictEquals(verdict([client, ...dead.slice(0, MAX_FOREIGN_SIGNATURES)], trust), none);
  assertStrictEquals(verdict([client, ...dead], trust), TOO_MANY);
  assertStrictEquals(verdict([client, ...dead], trust, { depth: 20 }), TOO_MANY);
});

test("a long chain of good signatures does not exceed the limit", () => {
  const chain = [root];
  for (let i = 0; i < 20; i++) {
    chain.unshift(certify({ name: `level ${i}`, by: chain[0] as Holder, ca: true }));
  }
  const client = certify({ name: "client", by: chain[0] as Holder });
  assertStrictEquals(verdict([client, ...chain], trustOf(root), { depth: 20 }), "OK");
});

test("a chain longer than the limit of TLS libraries is not read", () => {
  const large = new Uint8Array(MAX_SENT_BYTES - leaf.der.length - sub.der.length + 1);
  const options = { depth: 1, now: NOW, purpose: "client" } as const;
  const found = verifyChain(sentChain([leaf.der, sub.der, large]), trustOf(root), options);
  assertEquals(found, { ok: false, fault: { problem: "certificate chain too long" } });
});

test("the most expensive chains cost less than 150 ms of CPU", () => {
  const issue = (name: string, by: Holder, ca: boolean): Holder => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
    const key = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    return { ...certify({ name, by, ca, key }), privateKey };
  };
  const algorithm = sequence(objectIdentifier("1.2.840.10045.4.3.4"));
  const signer = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const bad = new Uint8Array(sign("sha512", Buffer.from("other bytes"), signer.privateKey));
  const client = certify({
    name: "client",
    by: issue("own", root, true),
    algorithm,
    signature: bad,
  });
  const issuers = Array.from({ length: MAX_SENT - 1 }, () => issue("own", root, true));
  const trust = trustOf(root);
  verdict([client, ...issuers], trust);
  const began = process.cpuUsage();
  for (let i = 0; i < 3; i++) assertStrictEquals(verdict([client, ...issuers], trust), TOO_MANY);
  const { user, system } = process.cpuUsage(began);
  assert(user + system < 450_000, `${user + system} µs for 3`);
});

test("RSA keys that are large, even or with exponent 1 are refused before they are used", () => {
  const rsa = (modulus: Uint8Array, exponent: number[]) =>
    sequence(
      sequence(objectIdentifier("1.2.840.113549.1.1.1"), Uint8Array.of(5, 0)),
      bitString(sequence(unsigned(modulus), unsigned(Uint8Array.from(exponent)))),
    );
  const sound = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey
    .export({ format: "jwk" });
  const modulus = new Uint8Array(Buffer.from(String(sound.n), "base64url"));
  const client = (key: Uint8Array) =>
    verdict([certify({ name: "rsa", by: root, key })], trustOf(root));
  assertStrictEquals(client(rsa(modulus, [1, 0, 1])), "OK");
  assertStrictEquals(client(rsa(modulus, [3])), "OK");
  for (const exponent of [[0], [1], [2], [1, 0], [1, 0, 0, 0, 1]]) {
    assertStrictEquals(client(rsa(modulus, exponent)), "unsupported public key algorithm");
  }
  const large = new Uint8Array(1025).fill(0xff);
  assertStrictEquals(client(rsa(large, [3])), "unsupported public key algorithm");
  assertStrictEquals(client(rsa(modulus.subarray(1), [3])), "EE certificate key too weak");
  assertMatch(client(rsa(new Uint8Array(2050).fill(1), [3])), /^unreadable certificate/);
  assertNotStrictEquals(client(rsa(new Uint8Array(1), [3])), "OK");
});

test("any change to any certificate of a chain makes it fail", { timeout: 20_000 }, () => {
  const trust = trustOf(root);
  const chain = [leaf.der, sub.der];
  const options = { depth: 1, now: NOW, purpose: "client" } as const;
  assert(verifyChain(sentChain(chain), trust, options).ok);
  const changes = fc.oneof(
    damaged([leaf.der]).map((der) => [der, sub.der]),
    damaged([sub.der]).map((der) => [leaf.der, der]),
  ).filter((changed) => changed.some((der, at) => Buffer.compare(der, chain[at]!) !== 0));
  forAll(runs(3000), changes, (changed) => {
    const found = verifyChain(sentChain(changed), trust, options);
    assertStrictEquals(found.ok, false);
    // The reason has no bytes of the client, because it goes to the log and the environment.
    if (!found.ok) assertMatch(faultText(found.fault), /^[\x20-\x7e]{1,120}$/);
  });
});

test("every bit of a leaf counts", { timeout: 20_000 }, () => {
  const direct = certify({ name: "d", by: root });
  const trust = trustOf(root);
  for (let bit = 0; bit < direct.der.length * 8; bit++) {
    const der = direct.der.slice();
    der[bit >> 3] = (der[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assertNotStrictEquals(verdict([{ ...direct, der }], trust), "OK", `bit ${bit}`);
  }
});
