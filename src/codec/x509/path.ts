/** Reads what path validation needs beyond the fields of `certificate.ts`: the signed bytes, the
 *  signature, the public key, the key identifiers. Pure: no I/O.
 *  The signed bytes are a slice of the input that is parsed here and in `certificate.ts`. So the
 *  verified bytes and the parsed fields cannot differ, as they could with a second parser. */

import { equalBytes } from "../bytes.ts";
import { DerReader, TAG } from "../der.ts";
import type { Certificate } from "./certificate.ts";
import { type NameConstraints, readNameConstraints } from "./constraints.ts";
import { type Algorithm, readAlgorithm, readExtension } from "./elements.ts";

/** A signed object (RFC 5280 4.1.1): a certificate or a CRL. */
export interface Signed {
  /** The signed bytes (DER of the body). */
  readonly body: Uint8Array;
  readonly algorithm: Algorithm;
  readonly signature: Uint8Array;
}

/** A public key as encoded in a certificate. */
export interface SubjectKey {
  /** SubjectPublicKeyInfo in DER. */
  readonly der: Uint8Array;
  readonly algorithm: Algorithm;
  /** RSA: the modulus and the exponent, big-endian, no leading zero. */
  readonly rsa: { readonly modulus: Uint8Array; readonly exponent: Uint8Array } | undefined;
}

/** The fields that path validation needs. */
export interface PathFields {
  readonly signed: Signed;
  readonly key: SubjectKey;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** From the name constraints extension, critical or not. Undefined if there is none. */
  readonly nameConstraints: NameConstraints | undefined;
  /** First byte of Netscape's certificate type. Its most significant bit is "SSL client". */
  readonly netscapeType: number | undefined;
}

/** RFC 4055 2.1: SHA-1 is the default if a field is left out. */
export const SHA1 = "1.3.14.3.2.26";
const MGF1 = "1.2.840.113549.1.1.8";

const NETSCAPE_TYPE = "2.16.840.1.113730.1.1";

/** In bytes: 16,384 bits (OpenSSL's OPENSSL_RSA_MAX_MODULUS_BITS) and the sign byte. A larger RSA
 *  modulus would only cost time. */
const MAX_RSA = 2049;

/** Reads the outermost element: body, algorithm, signature. `format` begins error messages. */
export function readSigned(der: Uint8Array, format: string): Signed {
  const file = new DerReader(der, format);
  const outer = file.sequence("signed object");
  file.finish("after the signed object");
  const body = outer.expect(TAG.sequence, "signed body").der;
  const algorithm = readAlgorithm(outer, "outer algorithm");
  const signature = bits(outer, "signature");
  outer.finish("after the signature");
  return { body, algorithm, signature };
}

/** Reads what `certificate.ts` leaves out. It must have accepted the certificate. */
export function readPathFields({ der }: Certificate): PathFields {
  const signed = readSigned(der, "x509");
  const file = new DerReader(der, "x509");
  const body = file.sequence("certificate").sequence("body");
  body.optional(0xa0, "version tag");
  for (const field of ["serial", "signature algorithm", "issuer", "validity", "subject"]) {
    body.read(field);
  }
  const key = readSubjectKey(body);
  body.optional(0x81, "issuer unique id");
  body.optional(0x82, "subject unique id");

  let subjectKeyId: Uint8Array | undefined;
  let authorityKeyId: Uint8Array | undefined;
  let nameConstraints: NameConstraints | undefined;
  let netscapeType: number | undefined;
  const tagged = body.optional(0xa3, "extensions tag");
  if (tagged) {
    const list = body.inside(tagged).sequence("extensions");
    while (!list.done) {
      const { oid, value } = readExtension(list, "extension");
      if (oid === "2.5.29.14") {
        subjectKeyId = value.expect(TAG.octetString, "subject key id").content;
        value.finish("after the subject key id");
      } else if (oid === "2.5.29.35") {
        const inside = value.sequence("authority key id");
        value.finish("after the authority key id");
        // [1] and [2], issuer and serial, are redundant.
        authorityKeyId = inside.optional(0x80, "authority key id value")?.content;
      } else if (oid === "2.5.29.30") nameConstraints = readNameConstraints(value);
      else if (oid === NETSCAPE_TYPE) {
        netscapeType = value.expect(TAG.bitString, "netscape type").content[1] ?? 0;
      }
    }
  }
  return { signed, key, subjectKeyId, authorityKeyId, nameConstraints, netscapeType };
}

function readSubjectKey(body: DerReader): SubjectKey {
  const element = body.expect(TAG.sequence, "public key");
  const inside = body.inside(element);
  const algorithm = readAlgorithm(inside, "public key algorithm");
  if (algorithm.oid !== "1.2.840.113549.1.1.1") {
    return { der: element.der, algorithm, rsa: undefined };
  }
  const numbers = new DerReader(bits(inside, "public key bits"), "x509: RSA key");
  const pair = numbers.sequence("numbers");
  numbers.finish("after the numbers");
  const modulus = positive(pair, "modulus", MAX_RSA);
  const exponent = positive(pair, "exponent", MAX_RSA);
  pair.finish("after the exponent");
  return { der: element.der, algorithm, rsa: { modulus, exponent } };
}

function positive(reader: DerReader, field: string, maxBytes: number): Uint8Array {
  const digits = reader.integer(field, maxBytes);
  if ((digits[0] ?? 0) >= 0x80) reader.fail(field, "negative number");
  return digits[0] === 0 ? digits.subarray(1) : digits;
}

/** Reads a BIT STRING of whole bytes. With unused bits, one signature would have two encodings. */
function bits(reader: DerReader, field: string): Uint8Array {
  const { content, start } = reader.expect(TAG.bitString, field);
  if (content[0] !== 0) reader.fail(field, "not whole bytes", start);
  return content.subarray(1);
}

/** The parameters of an RSA-PSS signature. */
export interface PssParameters {
  /** Object identifiers of the hash and of the mask's hash. */
  readonly hash: string;
  readonly maskHash: string;
  /** In bytes. */
  readonly saltLength: number;
}

/** RSASSA-PSS-params (RFC 4055 3.1). */
export function readPss(parameters: Uint8Array): PssParameters {
  const reader = new DerReader(parameters, "x509: PSS");
  const fields = reader.sequence("parameters");
  reader.finish("after the parameters");
  const part = (tag: number, field: string): DerReader | undefined => {
    const tagged = fields.optional(tag, field);
    return tagged && fields.inside(tagged);
  };
  const hashing = part(0xa0, "hash");
  const hash = hashing ? readAlgorithm(hashing, "hash").oid : SHA1;
  const masking = part(0xa1, "mask");
  let maskHash = SHA1;
  if (masking) {
    const { oid, parameters: inner } = readAlgorithm(masking, "mask");
    if (oid !== MGF1 || !inner) return fields.fail("mask", "is not MGF1");
    maskHash = readAlgorithm(new DerReader(inner, "x509: PSS"), "mask hash").oid;
  }
  const salt = part(0xa2, "salt length");
  const [high = 0, low] = salt ? salt.integer("salt length", 2) : [20];
  if (high >= 0x80) fields.fail("salt length", "negative");
  const trailer = part(0xa3, "trailer");
  if (trailer && !equalBytes(trailer.integer("trailer", 1), Uint8Array.of(1))) {
    fields.fail("trailer", "unknown");
  }
  fields.finish("after the trailer");
  return { hash, maskHash, saltLength: low === undefined ? high : high << 8 | low };
}
