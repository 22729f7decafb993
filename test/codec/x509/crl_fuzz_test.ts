/** Mutated lists: for any bytes, the reader returns or throws `DecodeError`. FUZZ_RUNS sets the
 *  number of mutations. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { readCrl } from "../../../src/codec/x509/crl.ts";
import { readPss, readSigned } from "../../../src/codec/x509/path.ts";
import { list, richList } from "./crl_samples.ts";
import { damaged, decoded, forAll, runs } from "../properties.ts";

const RUNS = runs(20_000);
const options = { timeout: 5_000 + RUNS };

test("mutated lists are refused or read, and the signed bytes lie within", options, () => {
  let accepted = 0;
  forAll(RUNS, damaged([list(), richList()]), (der) => {
    const crl = decoded(() => readCrl(der));
    if (!crl) return;
    accepted++;
    const { body, signature } = crl.signed;
    assertEquals(readSigned(der, "again").body, body);
    assert(body.length + signature.length < der.length);
    for (const serial of crl.revoked) assertMatch(serial, /^(?:[0-9a-f]{2})+$/);
  });
  assert(accepted > RUNS / 100, `${accepted} of ${RUNS} accepted`);
});

test("mutated PSS parameters are refused or give three values", options, () => {
  // SHA-256, MGF1 with SHA-256, 32 bytes.
  const hex =
    "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503" +
    "0402010500a203020120";
  const sample = Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  assertEquals(readPss(sample), {
    hash: "2.16.840.1.101.3.4.2.1",
    maskHash: "2.16.840.1.101.3.4.2.1",
    saltLength: 32,
  });
  forAll(RUNS, damaged([sample]), (der) => {
    const read = decoded(() => readPss(der));
    if (read) assert(read.saltLength >= 0 && read.saltLength < 32_768);
  });
});
