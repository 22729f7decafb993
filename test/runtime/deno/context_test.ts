/** Settings that rustls does not support are refused when the context is made, and which contexts use
 *  the native TLS handle. Deno's adapter only. */

import { assertEquals, assertThrows } from "@std/assert";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { Unsupported } from "../../../src/errors.ts";
import type { ContextParts } from "../../../src/runtime/deno/context.ts";
import type { TlsSettings } from "../../../src/runtime/runtime.ts";
import { file, pki, settings } from "../tools.ts";
import { thisRuntime } from "../kits.ts";

const refused: Record<string, () => Partial<TlsSettings>> = {
  "a cipher list": () => ({ ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }),
  "TLS 1.1 as the lowest": () => ({ minVersion: "TLSv1.1" }),
  "TLS 1.0 as the highest": () => ({ minVersion: "TLSv1", maxVersion: "TLSv1" }),
  "two certificates": () => ({
    keyPairs: [
      { chain: file("server.pem"), key: file("server.key") },
      { chain: file("other.pem"), key: file("other.key") },
    ],
  }),
};

const runtime = await thisRuntime();
const onDeno = { skip: runtime.name !== "Deno" && "it is Deno that refuses" };

for (const [what, more] of Object.entries(refused)) {
  test(`Deno refuses ${what}`, onDeno, () => {
    assertThrows(() => runtime.tlsContext(settings(more())), Unsupported);
  });
}

test("Deno refuses a key with which rustls would fail in every handshake", onDeno, () => {
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes"],
    ...["-keyout", "odd.key", "-out", "odd.pem", "-subj", "/CN=odd"],
  ], { cwd: pki(), stdio: "ignore" });
  const keyPairs = [{ chain: file("odd.pem"), key: file("odd.key") }];
  assertThrows(() => runtime.tlsContext(settings({ keyPairs })), Error, /does not support its key/);
});

test("Deno refuses an empty range of versions", onDeno, () => {
  const range = { minVersion: "TLSv1.3", maxVersion: "TLSv1.2" } as const;
  assertThrows(() => runtime.tlsContext(settings(range)), Error, /is empty/);
});

test("a context uses the native handle unless it asks for a client certificate", onDeno, () => {
  const requests = [undefined, { ca: [], required: false }];
  const used = requests.map((requestCertificate) => {
    const more = requestCertificate ? { requestCertificate } : {};
    const { opaque } = runtime.tlsContext(settings(more));
    return (opaque as ContextParts).native !== undefined;
  });
  assertEquals(used, [true, false]);
});
