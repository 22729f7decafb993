/** The warnings of a start about the certificates that it will serve. */

import { assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { warnOfServed } from "../../src/check/served.ts";
import { decodePem } from "../../src/codec/x509/pem.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { makeSelfSigned } from "../../src/tls/self_signed.ts";
import { certify } from "../tls/authority.ts";

/** The warnings about a certificate that serves these server names. */
function said(der: Uint8Array, names: (string | undefined)[], at = 0): string[] {
  const leaf = readCertificate(der);
  const lines: string[] = [];
  const assembled = {
    services: {
      contexts: { leaves: () => [{ path: "/a.pem", leaf }] },
      names: { of: () => names },
    },
    warnOfExpiry: () => {},
  };
  warnOfServed(
    assembled as never,
    { warning: (text, remedy) => void lines.push(`${text} -- ${remedy}`) },
    leaf.notBefore.ms + at,
  );
  return lines;
}

test("a start warns about certificates that clients refuse, as --check does", () => {
  const { certPem } = makeSelfSigned(["a.example"]);
  const good = decodePem(new TextEncoder().encode(certPem))[0]?.bytes ?? new Uint8Array();
  assertEquals(said(good, [undefined, "a.example"]), []);
  assertMatch(
    said(good, ["b.example"]).join("\n"),
    /^[^\n]*used for b\.example.* -- set CERTFILE:b/,
  );
  assertMatch(
    said(good, [undefined], -5000).join("\n"),
    /^[^\n]*not valid before .* -- check the clock/,
  );
  const bare = certify({ name: "bare" }).der;
  assertMatch(said(bare, [undefined]).join("\n"), /no subjectAltName.* -- have it issued/);
});
