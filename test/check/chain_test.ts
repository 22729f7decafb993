/** The remedy that --check gives for an incomplete chain. */

import { assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import * as fs from "node:fs";
import * as os from "node:os";
import { test } from "node:test";
import { checkChain } from "../../src/check/chain.ts";
import { Findings } from "../../src/check/finding.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { certify, NOW } from "../tls/authority.ts";

test("an issuer file next to the certificate is suggested, unless it has a private key", () => {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "chain-"));
  try {
    const top = certify({ name: "top", ca: true });
    const middle = certify({ name: "middle", by: top, ca: true });
    const { der } = certify({ name: "leaf", by: middle });
    const path = join(folder, "leaf.pem");
    const proposed = (): string[] => {
      const findings = new Findings();
      const how = { leafFirst: true, alone: true, now: NOW };
      const file = { path, bytes: new TextEncoder().encode(encodePem("CERTIFICATE", der)) };
      checkChain([readCertificate(der)], path, [file], how, findings);
      return findings.list.map(({ remedy = "" }) => remedy).filter((text) =>
        /^append \//.test(text)
      );
    };
    const issuer = encodePem("CERTIFICATE", middle.der);
    for (const label of ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]) {
      const key = encodePem(label, Uint8Array.of(1, 2, 3));
      for (
        const text of [`${key}${issuer}`, `${issuer}${key}`, `${issuer}-----BEGIN PRIVATE KEY----`]
      ) {
        fs.writeFileSync(join(folder, "a.pem"), text);
        assertEquals(proposed(), [], text);
      }
    }
    fs.writeFileSync(join(folder, "b.pem"), issuer);
    assertStrictEquals(proposed().length, 1);
    assertMatch(proposed()[0] ?? "", /^append \S+\/b\.pem to it/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("a chain in the wrong order causes a warning, except with the root first", () => {
  const top = certify({ name: "top", ca: true });
  const middle = certify({ name: "middle", by: top, ca: true });
  const leaf = certify({ name: "leaf", by: middle });
  const other = certify({ name: "other" });
  const sent = [leaf, middle, top].map(({ der }) => readCertificate(der));
  const rows: [what: string, file: typeof sent, leafFirst: boolean, warned: RegExp | undefined][] =
    [
      ["the leaf first", sent, true, undefined],
      ["the root first", sent.toReversed(), true, /: not in order: /],
      ["the root first, as in CERTCHAINFILE", sent.toReversed(), false, undefined],
      ["the leaf in the middle", [1, 0, 2].map((i) => sent[i]!), false, /: not in order: /],
      [
        "another between them",
        [sent[0]!, readCertificate(other.der), sent[1]!, sent[2]!],
        true,
        /part/,
      ],
    ];
  for (const [what, file, leafFirst, warned] of rows) {
    const findings = new Findings();
    const text = file.map(({ der }) => encodePem("CERTIFICATE", der)).join("");
    const files = [{ path: "chain.pem", bytes: new TextEncoder().encode(text) }];
    checkChain(sent, "chain.pem", files, { leafFirst, alone: true, now: NOW }, findings);
    const said = findings.list.filter(({ text }) => /not in order|not part of/.test(text));
    assertStrictEquals(said.length, warned ? 1 : 0, what);
    if (warned) assertMatch(said[0]?.text ?? "", warned, what);
  }
});
