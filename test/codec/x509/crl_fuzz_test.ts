/** Mutated lists: for any bytes, the reader returns or throws `DecodeError`. FUZZ_RUNS sets the
 *  number of mutations. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "node:test";
import { DecodeError } from "../../../src/codec/bytes.ts";
import { readCrl } from "../../../src/codec/x509/crl.ts";
import { readPss, readSigned } from "../../../src/codec/x509/path.ts";
import { list, richList } from "./crl_samples.ts";
import { mutate, numbers } from "../mutate.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const options = { timeout: 5_000 + RUNS };

function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    assert(error instanceof DecodeError, String(error));
    return undefined;
  }
}

test("mutated lists are refused or read, and the signed bytes lie within", options, () => {
  const below = numbers(11);
  const samples = [list(), richList()];
  let accepted = 0;
  for (let run = 0; run < RUNS; run++) {
    const der = mutate(samples[run % samples.length] as Uint8Array, below);
    const crl = attempt(() => readCrl(der));
    if (!crl) continue;
    accepted++;
    const { body, signature } = crl.signed;
    assertEquals(readSigned(der, "again").body, body);
    assert(body.length + signature.length < der.length);
    for (const serial of crl.revoked) assertMatch(serial, /^(?:[0-9a-f]{2})+$/);
  }
  assert(accepted > RUNS / 100, `${accepted} of ${RUNS} accepted`);
});

test("mutated PSS parameters are refused or give three values", options, () => {
  const below = numbers(12);
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
  for (let run = 0; run < RUNS; run++) {
    const read = attempt(() => readPss(mutate(sample, below)));
    if (read) assert(read.saltLength >= 0 && read.saltLength < 32_768);
  }
});
