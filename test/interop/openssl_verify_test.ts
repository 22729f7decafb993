/** Every chain of the table against `openssl verify`: the same result for the same reason, or a
 *  difference that the headers of `src/tls/verify.ts`, `path_rules.ts` and `signature.ts` explain. */

import { assert, assertStrictEquals } from "@std/assert";
import { rmSync } from "node:fs";
import { after, test } from "node:test";
import { faultText } from "../../src/tls/chain_fault.ts";
import { sentChain } from "../../src/tls/sent_chain.ts";
import { makeTrust } from "../../src/tls/trust_files.ts";
import { verifyChain } from "../../src/tls/verify.ts";
import { folder, Maker, opensslVerdict } from "./openssl_verify.ts";
import { CASES, SPECS } from "./openssl_verify_cases.ts";

after(() => rmSync(folder, { recursive: true }));

const maker = new Maker(SPECS);
const start = Math.floor(Date.now() / 1000);
const file = (pem: string) => ({ path: "test", bytes: new TextEncoder().encode(pem) });

for (const one of CASES) {
  const { claim, leaf, sent = [], trusted = ["root"], depth = 9, day = 0, says } = one;
  // A long limit, because making a large RSA key can take long.
  test(`openssl and this program give the same verdict: ${claim}`, { timeout: 60_000 }, () => {
    const lists = (one.lists ?? []).map((spec) => maker.list(spec));
    const authorities = trusted.map((name) => maker.pem(name));
    // The test makes the certificates while it runs. An hour later all of them are valid.
    const time = start + Math.round(day * 86_400) + 3600;
    const verdict = opensslVerdict({
      leaf: maker.pem(leaf),
      sent: sent.map((name) => maker.pem(name)),
      trusted: authorities,
      lists,
      depth,
      time,
    });
    assertStrictEquals(verdict, says, "what openssl says");
    const trust = makeTrust(authorities.map(file), lists.map(file));
    const chain = [leaf, ...sent].map((name) => maker.der(name));
    const options = { depth, now: time * 1000, purpose: "client" } as const;
    const expected = ("deno" in process.versions ? one.onDeno : undefined) ?? one.ours ?? says;
    for (const _ of ["first", "from the cache"]) {
      const ours = verifyChain(sentChain(chain), trust, options);
      assertStrictEquals(ours.ok ? "OK" : faultText(ours.fault), expected, "what we say");
    }
  });
}

test("the table has at least 40 chains, and differences are few", () => {
  const different = CASES.filter(({ ours }) => ours !== undefined);
  assert(CASES.length - different.length >= 40);
  // The cases in which openssl tries only one of several chains, which fails.
  assertStrictEquals(different.filter(({ ours }) => ours === "OK").length, 2);
});
