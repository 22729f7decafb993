/** Mutated certificates: for any bytes, the reader returns or throws `DecodeError`, and the result can be
 *  printed on one line. FUZZ_RUNS sets the number of mutations. */

import { assert, assertEquals, assertMatch, assertNotMatch, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { decodePem, encodePem } from "../../../src/codec/x509/pem.ts";
import { sessionId } from "../../../src/codec/ssl_session.ts";
import { matchesHost } from "../../../src/codec/x509/match.ts";
import { readCertificate } from "../../../src/codec/x509/certificate.ts";
import { sentChain } from "../../../src/tls/sent_chain.ts";
import { clientVariables } from "../../../src/tls/variables.ts";
import { certificate, cn, richCertificate } from "./samples.ts";
import { damaged, decoded, forAll, runs } from "../properties.ts";

const RUNS = runs(20_000);

/** More runs take longer than Bun's limit of five seconds for a test. */
const options = { timeout: 5_000 + RUNS };

test(
  "mutated certificates are refused or give variables that are safe line by line",
  options,
  () => {
    const samples = [richCertificate(), certificate(), certificate({ subject: cn("\n\0\r\x85") })];
    let accepted = 0;
    forAll(RUNS, damaged(samples), (der) => {
      const variables = decoded(() => clientVariables(sentChain([der, der])));
      if (!variables) return;
      accepted++;
      matchesHost(readCertificate(der), "a.example");
      for (const [name, value] of variables) {
        assertMatch(name, /^SSL_CLIENT_[A-Za-z0-9_]+$/);
        // deno-lint-ignore no-control-regex
        if (!name.includes("_CERT")) assertNotMatch(value, /[\0-\x1f\x7f-\x9f\u2028\u2029]/);
        assertStrictEquals(new TextDecoder().decode(new TextEncoder().encode(value)), value);
      }
    });
    // Mutations inside texts are harmless. If none were accepted, the test would test nothing.
    assert(accepted > RUNS / 100, `${accepted} of ${RUNS} accepted`);
  },
);

test("mutated PEM files are refused or encode back to the same blocks", options, () => {
  const file = new TextEncoder().encode(
    `text\n${encodePem("CERTIFICATE", richCertificate())}${encodePem("X", Uint8Array.of(1, 2))}`,
  );
  forAll(Math.ceil(RUNS / 10), damaged([file]), (text) => {
    const blocks = decoded(() => decodePem(text)) ?? [];
    const again = blocks.map(({ label, bytes }) => encodePem(label, bytes)).join("");
    assertEquals(
      decodePem(new TextEncoder().encode(again)).map(({ bytes }) => bytes),
      blocks.map(({ bytes }) => bytes),
    );
  });
});

test("mutated sessions are refused or give an id of 1 to 32 bytes", options, () => {
  const session = Uint8Array.of(0x30, 17, 2, 1, 1, 2, 2, 3, 3, 4, 2, 192, 43, 4, 2, 7, 8, 4, 0);
  forAll(Math.ceil(RUNS / 10), damaged([session]), (der) => {
    const id = decoded(() => sessionId(der));
    if (id) assert(id.length > 0 && id.length <= 32);
  });
});
