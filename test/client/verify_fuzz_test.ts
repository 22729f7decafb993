/** The verifier of servers with damaged chains, random hosts and random names. */

import { assert, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { isFor } from "../../src/client/host_name.ts";
import { serverFaultWords } from "../../src/client/server_faults.ts";
import { serverVerifier } from "../../src/client/verify.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { damaged, forAll, runs } from "../codec/properties.ts";
import { alternativeNames, certificate, cn } from "../codec/x509/samples.ts";
import { certify, NOW } from "../tls/authority.ts";

const folder = mkdtempSync(join(tmpdir(), "sslserver-verifier-"));
after(() => rmSync(folder, { recursive: true }));

const RUNS = runs(2000);

test("a damaged chain is refused with a reason that can be printed", { timeout: 30_000 }, () => {
  const root = certify({ name: "root", ca: true });
  const sub = certify({ name: "sub", by: root, ca: true });
  const leaf = certify({
    name: "leaf",
    by: sub,
    extensions: [alternativeNames([0x82, "a.example"])],
  });
  const caFile = join(folder, "root.pem");
  writeFileSync(caFile, encodePem("CERTIFICATE", root.der));
  const config = { depth: 1, caFile, env: {}, now: () => NOW };
  const { verify } = serverVerifier({ ...config, checkChain: true, checkName: true });
  const nameAlone = serverVerifier({ ...config, checkChain: false, checkName: true }).verify;
  assertStrictEquals(verify([leaf.der, sub.der], "a.example"), undefined);
  const sound = [leaf.der, sub.der];
  const changes = fc.oneof(
    damaged([leaf.der]).map((der) => [der, sub.der]),
    damaged([sub.der]).map((der) => [leaf.der, der]),
  ).filter((chain) => chain.some((der, at) => Buffer.compare(der, sound[at]!) !== 0));
  forAll(RUNS, changes, (chain) => {
    const fault = verify(chain, "a.example");
    assert(fault);
    for (const one of [fault, nameAlone(chain, "b.example")]) {
      assert(one);
      const { text, hint = "x" } = serverFaultWords(one);
      assertMatch(text, /^[\x20-\x7e]{1,900}$/);
      assertMatch(hint, /^[\x20-\x7e]{1,200}$/);
    }
  });
});

test("names match hosts as the rules say, for random names and hosts", () => {
  const label = fc.constantFrom("a", "b", "A", "xn--a", "*", "1", "_x", "");
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
  const values = fc.tuple(
    fc.array(name, { minLength: 1, maxLength: 3 }),
    fc.oneof(name, fc.constant(undefined)),
  );
  let matches = 0;
  forAll(RUNS, values, ([names, other]) => {
    const host = other ?? (names[0] ?? "").replace("*", "a");
    const one = readCertificate(certificate({
      subject: cn("c.example"),
      extensions: [alternativeNames(...names.map((text) => [0x82, text] as const))],
    }));
    const found = isFor(one, host);
    const expected = names.some((text) => {
      const [first, ...rest] = text.toLowerCase().split(".");
      const [hostFirst, ...hostRest] = host.toLowerCase().replace(/\.$/, "").split(".");
      const plain = /^(?!.*\*)/.test(host) && rest.every((label) => label !== "*" && label !== "");
      const same = rest.join(".") === hostRest.join(".");
      if (!plain || !same || !hostFirst || /^\d+$/.test([hostFirst, ...hostRest].at(-1) ?? "")) {
        return false;
      }
      return first === hostFirst || first === "*" && rest.length >= 2;
    });
    assertStrictEquals(found, expected, `${JSON.stringify(names)} for ${JSON.stringify(host)}`);
    if (found) matches++;
  });
  assert(matches > RUNS / 20, String(matches));
});
