import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { keySizes, opensslCipher } from "../../src/tls/cipher_names.ts";

test("registered names become OpenSSL's", () => {
  const cases: [string, string][] = [
    ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
    ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA"],
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"],
    ["TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"],
    ["ECDHE-RSA-AES256-SHA", "ECDHE-RSA-AES256-SHA"],
  ];
  for (const [name, expected] of cases) assertStrictEquals(opensslCipher({ name }), expected);
});

test("OpenSSL's name wins where a runtime gives both", () => {
  const name = "ECDHE-RSA-AES128-SHA256";
  const standardName = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256";
  assertStrictEquals(opensslCipher({ name, standardName }), name);
  assertStrictEquals(opensslCipher({ name: standardName, standardName }), name);
});

test("key sizes follow from the name", () => {
  const cases: [string, number, number][] = [
    ["TLS_AES_128_GCM_SHA256", 128, 128],
    ["TLS_AES_256_GCM_SHA384", 256, 256],
    ["TLS_CHACHA20_POLY1305_SHA256", 256, 256],
    ["ECDHE-RSA-AES256-SHA", 256, 256],
    ["AES128-SHA256", 128, 128],
    ["DES-CBC3-SHA", 112, 168],
  ];
  for (const [name, used, possible] of cases) assertEquals(keySizes(name), { used, possible });
  assertStrictEquals(keySizes("SOMETHING-SHA256"), undefined);
});
