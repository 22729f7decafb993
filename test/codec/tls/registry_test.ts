/** The names of numbers: samples of each registry, and all that openssl knows. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { GROUPS, SIGNATURE_SCHEMES, signatureScheme } from "../../../src/codec/tls/algorithms.ts";
import { cipherSuite, cipherSuiteName } from "../../../src/codec/tls/cipher_suites.ts";
import { ALERTS } from "../../../src/codec/tls/alerts.ts";
import { isGrease, isGreaseMode } from "../../../src/codec/tls/grease.ts";
import { EXTENSIONS, named } from "../../../src/codec/tls/registry.ts";

test("the registries have as many names as IANA's in September 2026", () => {
  let suites = 0;
  for (let suite = 0; suite <= 0xffff; suite++) if (cipherSuiteName(suite)) suites++;
  const unregistered = 5;
  const counts = [
    suites,
    Object.keys(GROUPS).length,
    Object.keys(SIGNATURE_SCHEMES).length,
    Object.keys(EXTENSIONS).length - unregistered,
    Object.keys(ALERTS).length,
  ];
  assertEquals(counts, [356, 59, 49, 64, 36]);
});

test("cipher suites have openssl's standard names", () => {
  const list = execFileSync("openssl", [
    "ciphers",
    "-stdname",
    "-V",
    "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
  ], { encoding: "utf8" });
  const rows = [...list.matchAll(/0x(..),0x(..) - (\S+)/g)];
  assert(rows.length > 100, `${rows.length} rows`);
  for (const [, high, low, name] of rows) {
    assertStrictEquals(cipherSuiteName(parseInt(`${high}${low}`, 16)), name);
  }
});

test("names are printed before their numbers", () => {
  assertStrictEquals(cipherSuite(0x1301), "TLS_AES_128_GCM_SHA256 (0x1301)");
  assertStrictEquals(cipherSuite(0x5600), "TLS_FALLBACK_SCSV (0x5600)");
  assertStrictEquals(cipherSuite(0x0005), "TLS_RSA_WITH_RC4_128_SHA (0x0005)");
  assertStrictEquals(cipherSuite(0xfafa), "GREASE (0xfafa)");
  assertStrictEquals(cipherSuite(0xffff), "unknown (0xffff)");
  assertStrictEquals(named(GROUPS[4588], 4588), "X25519MLKEM768 (4588)");
  assertStrictEquals(named(GROUPS[9999], 9999), "unknown (9999)");
  assertStrictEquals(named(undefined, 0x0a0a), "GREASE (2570)");
  assertStrictEquals(signatureScheme(0x0804), "rsa_pss_rsae_sha256 (0x0804)");
  assertStrictEquals(signatureScheme(0x0303), "ecdsa_sha224 (0x0303)");
  assertStrictEquals(signatureScheme(0x0101), "rsa_md5 (0x0101)");
  assertStrictEquals(signatureScheme(0xeeee), "unknown (0xeeee)");
});

test("the numbers of RFC 8701 are GREASE, and no others", () => {
  const words = Array.from({ length: 0x10000 }, (_, i) => i).filter(isGrease);
  assertEquals(words, Array.from({ length: 16 }, (_, i) => 0x0a0a + i * 0x1010));
  const modes = Array.from({ length: 0x100 }, (_, i) => i).filter(isGreaseMode);
  assertEquals(modes, [0x0b, 0x2a, 0x49, 0x68, 0x87, 0xa6, 0xc5, 0xe4]);
});
