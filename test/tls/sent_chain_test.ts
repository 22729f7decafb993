/** How often the certificates of one handshake are parsed. */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../src/codec/bytes.ts";
import { readCertificate } from "../../src/codec/x509/certificate.ts";
import { Log } from "../../src/log.ts";
import { ClientAuths } from "../../src/tls/client_auth.ts";
import { SentCertificate, sentChain } from "../../src/tls/sent_chain.ts";
import { serverVariables, tlsVariables } from "../../src/tls/variables.ts";
import { makeTrust } from "../../src/tls/trust_files.ts";
import { verifyChain } from "../../src/tls/verify.ts";
import { certify } from "./authority.ts";

/** A certificate that counts the elements that a decoder reads from it. */
class Counted extends Uint8Array {
  elements = 0;
  override subarray(begin?: number, end?: number): Uint8Array<ArrayBuffer> {
    this.elements++;
    return Uint8Array.from(this).subarray(begin, end);
  }
}

/** The number of elements read when the certificate is parsed once. */
function once(der: Uint8Array): number {
  const counted = new Counted(der);
  readCertificate(counted);
  return counted.elements;
}

const root = certify({ name: "root", ca: true });
const sub = certify({ name: "sub", by: root, ca: true });
const leaf = certify({ name: "leaf", by: sub });
const counted = (): Counted[] => [leaf, sub].map(({ der }) => new Counted(der));

/** The variables of a program with this client chain. */
function variables(chain: ReturnType<typeof sentChain>): Map<string, string> {
  return tlsVariables({
    protocol: "TLSv1.3",
    cipher: { name: "TLS_AES_128_GCM_SHA256" },
    server: serverVariables(readCertificate(root.der)),
    clientChain: chain,
    clientVerify: "SUCCESS",
    versionInterface: "a",
    versionLibrary: "b",
  });
}

test("variables reuse certificates that verification has read", () => {
  const ders = counted();
  const chain = sentChain(ders);
  const trust = makeTrust([{ path: "root.pem", bytes: root.der }]);
  const options = { depth: 1, now: Date.now(), purpose: "client" } as const;
  assert(verifyChain(chain, trust, options).ok);
  const before = ders.map(({ elements }) => elements);
  assert(before.every((elements) => elements > 0));
  assertStrictEquals(variables(chain).get("SSL_CLIENT_S_DN"), "/CN=leaf");
  assertEquals(ders.map(({ elements }) => elements), before);
});

test("a certificate for variables is read once, and its issuers never", () => {
  const ders = counted();
  const chain = sentChain(ders);
  const log = new Log({ verbosity: 0, form: "text", name: "t" });
  const env: Record<string, string> = { CCAFILE: "/dev/null" };
  const auth = new ClientAuths({ option: "none", env: (name) => env[name], log }).get();
  assertStrictEquals(auth?.verify(chain, undefined), "GENEROUS");
  variables(chain);
  assertEquals(ders.map(({ elements }) => elements), [once(leaf.der), 0]);
});

test("a certificate that cannot be read is not tried again", () => {
  const broken = new Counted(leaf.der.map((byte, i) => i === 4 ? 0 : byte));
  const sent = new SentCertificate(broken);
  const elements = [1, 2].map(() => {
    assertThrows(() => sent.read(), DecodeError);
    return broken.elements;
  });
  assertStrictEquals(elements[1], elements[0]);
});
