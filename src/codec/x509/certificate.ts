/** Reads X.509 certificates (RFC 5280): the fields that the server checks or passes to its program.
 *  Pure: no I/O. Signatures, dates and trust are verified elsewhere.
 *  A certificate is untrusted until it is verified, so reading is strict (DER only, no
 *  duplicates, no trailing bytes), every length is capped and nothing recurses. */

import { DecodeError, equalBytes } from "../bytes.ts";
import { DerReader, TAG } from "../der.ts";
import { readAlgorithm } from "./elements.ts";
import { type Extensions, readExtensions } from "./extensions.ts";
import { readTime, type Time } from "./time.ts";

/** One attribute of a name, such as the country. */
export interface Attribute {
  /** Dotted decimals. */
  readonly oid: string;
  /** Identifier octet of the value: its string type. */
  readonly tag: number;
  /** The value as encoded. */
  readonly value: Uint8Array;
}

/** A distinguished name: relative names in order, each with one or more attributes. */
export interface DistinguishedName {
  readonly der: Uint8Array;
  readonly rdns: readonly (readonly Attribute[])[];
}

/** The fields read from a certificate. Byte arrays are views of the input. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Two's complement, big-endian, as encoded; `decimal()` prints it. */
  readonly serial: Uint8Array;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  /** Subject and issuer are the same name. This does not say who signed. */
  readonly selfIssued: boolean;
  readonly notBefore: Time;
  readonly notAfter: Time;
  /** Object identifiers; `algorithmName()` returns their names. */
  readonly signatureAlgorithm: string;
  readonly publicKeyAlgorithm: string;
}

/** TLS libraries limit a whole chain to about 100 KB; real certificates have 1 to 10 KB. */
const MAX_CERTIFICATE = 65_536;
/** RFC 5280 4.1.2.2 allows 20 bytes. Longer serial numbers exist, but the time to print one in
 *  decimal grows with the square of its length. */
const MAX_SERIAL = 128;

/** Attributes of one name. Real names have about ten. */
const MAX_ATTRIBUTES = 256;

const FORMAT = "x509";

/** Reads one certificate in DER; throws `DecodeError` on anything irregular. */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE) {
    throw new DecodeError(`${FORMAT}: certificate: above ${MAX_CERTIFICATE} bytes at byte 0`);
  }
  const file = new DerReader(der, FORMAT);
  const outer = file.sequence("certificate");
  file.finish("after the certificate");
  const body = outer.sequence("body");

  const version = readVersion(body);
  const serial = body.integer("serial", MAX_SERIAL);
  const signature = readAlgorithm(body, "signature algorithm in the body");
  const issuer = readDistinguishedName(body, "issuer");
  const validity = body.sequence("validity");
  const notBefore = readTime(validity, "not before");
  const notAfter = readTime(validity, "not after");
  validity.finish("after the validity");
  const subject = readDistinguishedName(body, "subject");
  const key = body.sequence("public key");
  const publicKey = readAlgorithm(key, "public key algorithm");
  key.expect(TAG.bitString, "public key bits");
  key.finish("after the public key");
  // Unique identifiers, [1] and [2], are allowed, though unused since 1993.
  body.optional(0x81, "issuer unique id");
  body.optional(0x82, "subject unique id");
  const extensions = readExtensions(body, version);
  body.finish("after the body");

  // RFC 5280 4.1.1.2 requires both to be equal. If they differ, the unsigned copy is forged.
  const outside = readAlgorithm(outer, "signature algorithm");
  if (!equalBytes(outside.der, signature.der)) {
    outer.fail("signature algorithm", "differs from the signed one");
  }
  outer.expect(TAG.bitString, "signature bits");
  outer.finish("after the signature");

  return {
    der,
    version,
    serial,
    subject,
    issuer,
    selfIssued: equalBytes(subject.der, issuer.der),
    notBefore,
    notAfter,
    signatureAlgorithm: signature.oid,
    publicKeyAlgorithm: publicKey.oid,
    ...extensions,
  };
}

function readVersion(body: DerReader): number {
  const tagged = body.optional(0xa0, "version tag");
  if (!tagged) return 1;
  const inside = body.inside(tagged);
  const [version = 0, ...more] = inside.integer("version", 1);
  if (more.length > 0 || version > 2) inside.fail("version", "unknown", tagged.start);
  inside.finish("after the version");
  return version + 1;
}

/** Reads a distinguished name, the next element of `body`. */
export function readDistinguishedName(body: DerReader, field: string): DistinguishedName {
  const name = body.expect(TAG.sequence, field);
  const sets = body.inside(name);
  const rdns: Attribute[][] = [];
  let count = 0;
  while (!sets.done) {
    const set = sets.inside(sets.expect(TAG.set, `${field} part`));
    const rdn: Attribute[] = [];
    do {
      if (++count > MAX_ATTRIBUTES) set.fail(field, `above ${MAX_ATTRIBUTES} attributes`);
      const pair = set.sequence(`${field} attribute`);
      const oid = pair.oid(`${field} attribute type`);
      const { tag, content, der } = pair.read(`${field} attribute value`);
      pair.finish(`after the ${field} attribute`);
      // A constructed value has no text. Its encoding is used instead, as in OpenSSL.
      const value = tag === TAG.bitString ? content.subarray(1) : tag & 0x20 ? der : content;
      rdn.push({ oid, tag, value });
    } while (!set.done);
    rdns.push(rdn);
  }
  return { der: name.der, rdns };
}
