/** Malformed certificates that one TLS library accepts and another rejects. Where a certificate is
 *  optional, a malformed one does not count as "no certificate". */

import { assertMatch, assertStrictEquals } from "@std/assert";
import { join } from "@std/path";
import { generateKeyPairSync, sign } from "node:crypto";
import * as fs from "node:fs";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  time,
  unsigned,
} from "../../src/codec/der_write.ts";
import { encodePem } from "../../src/codec/x509/pem.ts";
import { alternativeNames, cn, extension } from "../codec/x509/samples.ts";
import { judge } from "./client_pki.ts";
import { stdout } from "./clients.ts";
import { claim, type Server, type Trial } from "./harness.ts";

const ALGORITHM = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const KEY = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));

interface Parts {
  serial?: Uint8Array;
  validity?: Uint8Array;
  subject?: Uint8Array;
  extensions?: Uint8Array[];
}

/** A self-signed certificate in PEM. */
function certificate({ serial, validity, subject, extensions }: Parts): string {
  const body = sequence(
    element(0xa0, unsigned(Uint8Array.of(2))),
    serial ?? unsigned(Uint8Array.of(9)),
    ALGORITHM,
    cn("faulty"),
    validity ?? sequence(time(Date.UTC(2025, 0, 1)), time(Date.UTC(2049, 0, 1))),
    subject ?? cn("faulty"),
    KEY,
    element(0xa3, sequence(...extensions ?? [])),
  );
  return encodePem(
    "CERTIFICATE",
    sequence(body, ALGORITHM, bitString(sign("sha256", body, privateKey))),
  );
}

const utc = (text: string) => element(0x17, new TextEncoder().encode(text));
const name = (value: Uint8Array) =>
  sequence(element(0x31, sequence(objectIdentifier("2.5.4.3"), value)));

const FAULTY: Readonly<Record<string, Parts>> = {
  "a date that is none": { validity: sequence(utc("250101000000Z"), utc("9999")) },
  "a date without seconds": { validity: sequence(utc("2501010000Z"), utc("4901010000Z")) },
  "a negative serial number": { serial: element(2, Uint8Array.of(0x80)) },
  "a name of a name": { subject: name(sequence(element(0x13, Uint8Array.of(0x40)))) },
  "an extension twice": {
    extensions: ["a", "b"].map((host) => alternativeNames([0x82, host])),
  },
  "an address of five bytes": { extensions: [alternativeNames([0x87, new Uint8Array(5)])] },
  "names that are none": { extensions: [extension("2.5.29.17", Uint8Array.of(1, 2, 3))] },
  "a key usage that is none": { extensions: [extension("2.5.29.15", Uint8Array.of(4, 0), true)] },
};

/** Connects with a certificate of these parts. Returns openssl's output, with the program's text. */
async function visit(t: Trial, server: Server, parts: Parts, ...more: string[]): Promise<string> {
  const [shown, key] = [join(t.dir, "shown.pem"), join(t.dir, "shown.key")];
  fs.writeFileSync(shown, certificate(parts));
  fs.writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }));
  const where = ["-connect", `127.0.0.1:${server.port}`, "-cert", shown, "-key", key, "-ign_eof"];
  return stdout(await t.run("openssl", ["s_client", ...where, ...more]));
}

function trusting(t: Trial): string {
  const trust = join(t.dir, "trust.pem");
  fs.writeFileSync(trust, certificate({}));
  return trust;
}

const VERSIONS = ["-tls1_3", "-tls1_2"];

claim("a faulty certificate is none of the good ones, and not none either", async (t) => {
  const optional = await judge(t, "-sHl0", { CCAFILE: "/dev/null", CAFILE: trusting(t) });
  for (const version of VERSIONS) {
    for (const [what, parts] of Object.entries(FAULTY)) {
      const text = await visit(t, optional, parts, "-quiet", version);
      assertMatch(text, /^$|^FAILED:./, `${what} ${version}`);
    }
  }
});

claim(
  "a certificate that Deno cannot read is reported as unreadable, also in a resumed session",
  async (t) => {
    const date = FAULTY["a date that is none"] as Parts;
    const trust = trusting(t);
    const optional = await judge(t, "-sHl0", { CCAFILE: "/dev/null", CAFILE: trust });
    for (const version of VERSIONS) {
      const session = join(t.dir, `session${version}`);
      const first = await visit(t, optional, date, version, "-sess_out", session);
      assertMatch(first, /FAILED:unreadable certificate/);
      const again = await visit(t, optional, date, version, "-sess_in", session);
      assertMatch(again, /^Reused, /m);
      assertMatch(again, /FAILED:unreadable certificate/);
    }
    // The library refuses if the CA names sent are those that we trust; otherwise our code does.
    for (const CCAFILE of [trust, "/dev/null"]) {
      const required = await judge(t, "-smHl0", { CAFILE: trust, CCAFILE });
      assertStrictEquals(await visit(t, required, date, "-quiet"), "");
      await required.waitFor(
        CCAFILE === trust
          ? /^sslserver: error: unable to accept TLS from: /
          : /^sslserver: error: unable to accept TLS from: .*client certificate: unreadable certificate$/,
      );
    }
  },
  { forms: ["deno"] },
);
