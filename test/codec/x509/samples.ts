/** Certificates for tests, encoded here, including some that no tool would make. Their signatures are
 *  zeros, because the tests that use them do not check signatures. */

import { TAG } from "../../../src/codec/der.ts";
import {
  bitString,
  element,
  objectIdentifier,
  sequence,
  stringElement,
  time,
  unsigned,
} from "../../../src/codec/der_write.ts";

/** An attribute: type, kind of string, value. */
export type SampleAttribute = readonly [oid: string, tag: number, value: Uint8Array | string];

export const CN = "2.5.4.3";

/** A name made of these relative names. */
export function dn(...rdns: readonly (readonly SampleAttribute[])[]): Uint8Array {
  return sequence(...rdns.map((rdn) =>
    element(
      TAG.set,
      ...rdn.map(([oid, tag, value]) =>
        sequence(
          objectIdentifier(oid),
          typeof value === "string" ? stringElement(tag, value) : element(tag, value),
        )
      ),
    )
  ));
}

/** A name with one common name. */
export function cn(value: string | Uint8Array, tag: number = TAG.utf8): Uint8Array {
  return dn([[CN, tag, value]]);
}

export function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [element(TAG.boolean, Uint8Array.of(0xff))] : [];
  return sequence(objectIdentifier(oid), ...flag, element(TAG.octetString, value));
}

/** A subject alternative name of (tag, value) pairs; 0x82 is a DNS name, 0x81 email, 0x87 IP. */
export function alternativeNames(
  ...names: readonly (readonly [tag: number, value: Uint8Array | string])[]
): Uint8Array {
  const list = names.map(([tag, value]) =>
    typeof value === "string" ? stringElement(tag, value) : element(tag, value)
  );
  return extension("2.5.29.17", sequence(...list));
}

const ECDSA = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const ED25519 = sequence(sequence(objectIdentifier("1.3.101.112")), bitString(new Uint8Array(32)));

/** The parts of a certificate, each as DER. A missing part gets a valid default; an empty array omits the
 *  part. */
export interface Parts {
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly signature?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly key?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly outerSignature?: Uint8Array;
  readonly bits?: Uint8Array;
}

export function certificate(parts: Parts = {}): Uint8Array {
  const subject = parts.subject ?? cn("sample");
  const body = sequence(
    parts.version ?? element(0xa0, unsigned(Uint8Array.of(2))),
    parts.serial ?? unsigned(Uint8Array.of(1)),
    parts.signature ?? ECDSA,
    parts.issuer ?? subject,
    parts.validity ?? sequence(time(Date.UTC(2024, 0, 2)), time(Date.UTC(2050, 0, 1))),
    subject,
    parts.key ?? ED25519,
    parts.extensions ? element(0xa3, sequence(...parts.extensions)) : new Uint8Array(),
  );
  return sequence(
    body,
    parts.outerSignature ?? parts.signature ?? ECDSA,
    parts.bits ?? bitString(new Uint8Array(8)),
  );
}

/** A certificate that uses every feature of the reader. */
export function richCertificate(): Uint8Array {
  return certificate({
    serial: unsigned(Uint8Array.of(0xff, 1, 2, 3)),
    issuer: dn([["2.5.4.6", TAG.printable, "US"]], [[CN, TAG.utf8, "issuer"]]),
    subject: dn(
      [["2.5.4.6", TAG.printable, "US"]],
      [["2.5.4.8", TAG.printable, "New York"], ["2.5.4.7", TAG.t61, "Z\xfcrich"]],
      [[CN, TAG.bmp, "\0x"], ["1.2.840.113549.1.9.1", TAG.ia5, "a@b.example"]],
    ),
    extensions: [
      extension(
        "2.5.29.19",
        sequence(element(TAG.boolean, Uint8Array.of(255)), unsigned(Uint8Array.of(3))),
        true,
      ),
      extension("2.5.29.15", bitString(Uint8Array.of(0x86), 1), true),
      extension(
        "2.5.29.37",
        sequence(objectIdentifier("1.3.6.1.5.5.7.3.1"), objectIdentifier("1.2.3.4")),
      ),
      alternativeNames(
        [0x82, "a.example"],
        [0x82, "*.b.example"],
        [0x81, "root@b.example"],
        [0x87, Uint8Array.of(192, 0, 2, 7)],
        [0x86, "https://uri.example/"],
      ),
      extension("1.2.3.5", Uint8Array.of(5, 0), true),
      extension("1.2.3.6", Uint8Array.of(5, 0)),
    ],
  });
}
