/** What --check proposes for a chain that is not complete. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkChain } from "../../src/check/chain.ts";
import { Findings } from "../../src/check/finding.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { certify, NOW } from "../tls/authority.ts";

test("an issuer beside the certificate is proposed, but for a file with a private key", () => {
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
        assert.deepEqual(proposed(), [], text);
      }
    }
    fs.writeFileSync(join(folder, "b.pem"), issuer);
    assert.equal(proposed().length, 1);
    assert.match(proposed()[0] ?? "", /^append \S+\/b\.pem to it/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
