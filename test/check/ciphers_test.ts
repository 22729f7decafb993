/** The ciphers that remain after a cipher list. Only for runtimes that support cipher lists. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import tls from "node:tls";
import { isWeak, resultingSuites, SUITES, unknownWords } from "../../src/check/ciphers.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";

const skip = process.versions["bun"] === undefined && "rustls takes no list of ciphers";

test("SUITES are the library's suites with certificates", { skip }, () => {
  const own = tls.getCiphers().map((name) => name.toUpperCase())
    .filter((name) => !name.startsWith("TLS_") && !name.includes("PSK"));
  assertEquals([...SUITES].sort(), own.sort());
});

test("a list leaves the suites that fit it and the key, strongest first", { skip }, async () => {
  const { certPem, keyPem } = makeSelfSigned(["localhost"]);
  const pairs = [{ chain: certPem, key: keyPem }];
  assertEquals(await resultingSuites(pairs, "ECDHE+AESGCM:ECDHE+CHACHA20"), [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
  ]);
  assertEquals(await resultingSuites(pairs, "ECDHE-RSA-AES128-GCM-SHA256"), []);
  await assertRejects(() => resultingSuites(pairs, "NOTHING"));
});

test("unknown words are found, but exclusions and old suites are not", { skip }, () => {
  const rows: [string, string[]][] = [
    ["ECDHE+AESGCM:ECDHE+CHACHA20", []],
    ["HIGH:!aNULL:!MD5:!RC4:@STRENGTH", []],
    ["TLSv1+HIGH:!SSLv2:!MD5", []],
    ["ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-GCM-SHA384:kEDH+AESGCM:EECDH", []],
    ["HIHG:!aNULL", ["HIHG"]],
    ["ECDHE-RSA-AES128-GCM-SHA265 AES128-SHA,ECHDE", ["ECDHE-RSA-AES128-GCM-SHA265", "ECHDE"]],
  ];
  for (const [list, unknown] of rows) assertEquals(unknownWords(list), unknown, list);
});

test("suites without forward secrecy or authenticated encryption are weak", () => {
  const weak = SUITES.filter(isWeak);
  const strong = SUITES.filter((suite) => !isWeak(suite));
  assertStrictEquals(strong.length, 6);
  assert(strong.every((suite) => /^ECDHE-(ECDSA|RSA)-(AES\d+-GCM|CHACHA20)/.test(suite)));
  assert(weak.includes("AES256-GCM-SHA384") && weak.includes("ECDHE-RSA-AES256-SHA"));
});
