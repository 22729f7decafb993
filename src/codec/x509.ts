/** X.509 certificates (RFC 5280): what a server tells its program, and what it checks, about one.
 *  Pure: no I/O, and no verdict: signatures, dates and trust are judged elsewhere.
 *  The certificate is hostile until it has been verified, so reading is strict (DER only, nothing
 *  twice, nothing left over), every length is capped and nothing recurses. */

import { DecodeError, equalBytes, latin1 } from "./bytes.ts";
import { DerReader, type Element, TAG } from "./der.ts";
import { readTime, type Time } from "./x509_time.ts";

/** One attribute of a name, such as the country. */
export interface Attribute {
  /** Dotted decimals. */
  readonly oid: string;
  /** Identifier octet of the value: which kind of string it is. */
  readonly tag: number;
  /** The value as encoded. */
  readonly value: Uint8Array;
}

/** A distinguished name: relative names in order, each of one attribute or more. */
export interface Name {
  readonly der: Uint8Array;
  readonly rdns: readonly (readonly Attribute[])[];
}

/** What is read of a certificate. Byte arrays are views of the input. */
export interface Certificate {
  readonly der: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Two's complement, big-endian, as encoded; `decimal()` prints it. */
  readonly serial: Uint8Array;
  readonly subject: Name;
  readonly issuer: Name;
  /** Subject and issuer are the same name; says nothing about who signed. */
  readonly selfIssued: boolean;
  readonly notBefore: Time;
  readonly notAfter: Time;
  /** Object identifiers; `algorithmName()` spells them. */
  readonly signatureAlgorithm: string;
  readonly publicKeyAlgorithm: string;
  /** Subject alternative names. Text is one character per byte, not checked in any way. */
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ips: readonly Uint8Array[];
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength?: number } | undefined;
  /** Names as in RFC 5280 4.2.1.3; undefined: no restriction. */
  readonly keyUsage: readonly string[] | undefined;
  /** Object identifiers; undefined: no restriction. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Critical extensions that are not among the above: whoever verifies must know them. */
  readonly unknownCritical: readonly string[];
}

/** TLS libraries stop a whole chain at about 100 KB; real certificates have 1 to 10 KB. */
const MAX_CERTIFICATE = 65_536;
/** RFC 5280 4.1.2.2 allows 20 bytes. More are met, but their decimals take time to the square. */
const MAX_SERIAL = 128;
/** A certificate has about ten; a list of thousands of tiny ones only costs time. */
const MAX_EXTENSIONS = 64;

const FORMAT = "x509";

const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
];

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
  const issuer = readName(body, "issuer");
  const validity = body.sequence("validity");
  const notBefore = readTime(validity, "not before");
  const notAfter = readTime(validity, "not after");
  validity.finish("after the validity");
  const subject = readName(body, "subject");
  const key = body.sequence("public key");
  const publicKey = readAlgorithm(key, "public key algorithm");
  key.expect(TAG.bitString, "public key bits");
  key.finish("after the public key");
  // Unique identifiers, [1] and [2]: unused since 1993, allowed.
  body.optional(0x81, "issuer unique id");
  body.optional(0x82, "subject unique id");
  const extensions = readExtensions(body, version);
  body.finish("after the body");

  // Equal by RFC 5280 4.1.1.2; if not, the unsigned copy is forged.
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

function readAlgorithm(reader: DerReader, field: string): { oid: string; der: Uint8Array } {
  const algorithm = reader.expect(TAG.sequence, field);
  const inside = reader.inside(algorithm);
  const oid = inside.oid(`${field} id`);
  // Parameters (a NULL, a curve) are the business of who verifies.
  if (!inside.done) inside.read(`${field} parameters`);
  inside.finish(`after the ${field}`);
  return { oid, der: algorithm.der };
}

function readName(body: DerReader, field: string): Name {
  const name = body.expect(TAG.sequence, field);
  const sets = body.inside(name);
  const rdns: Attribute[][] = [];
  while (!sets.done) {
    const set = sets.inside(sets.expect(TAG.set, `${field} part`));
    const rdn: Attribute[] = [];
    do {
      const pair = set.sequence(`${field} attribute`);
      const oid = pair.oid(`${field} attribute type`);
      const { tag, content, der } = pair.read(`${field} attribute value`);
      pair.finish(`after the ${field} attribute`);
      // A constructed value has no text: its encoding stands for it, as in OpenSSL.
      const value = tag === TAG.bitString ? content.subarray(1) : tag & 0x20 ? der : content;
      rdn.push({ oid, tag, value });
    } while (!set.done);
    rdns.push(rdn);
  }
  return { der: name.der, rdns };
}

type Extensions = Pick<
  Certificate,
  | "dnsNames"
  | "emails"
  | "ips"
  | "basicConstraints"
  | "keyUsage"
  | "extendedKeyUsage"
  | "unknownCritical"
>;

function readExtensions(body: DerReader, version: number): Extensions {
  const dnsNames: string[] = [];
  const emails: string[] = [];
  const ips: Uint8Array[] = [];
  const unknownCritical: string[] = [];
  let basicConstraints: Certificate["basicConstraints"];
  let keyUsage: string[] | undefined;
  let extendedKeyUsage: string[] | undefined;

  const tagged = body.optional(0xa3, "extensions tag");
  if (tagged) {
    if (version !== 3) body.fail("extensions", "not in version 3", tagged.start);
    const wrapper = body.inside(tagged);
    const list = wrapper.sequence("extensions");
    wrapper.finish("after the extensions");
    const seen = new Set<string>();
    while (!list.done) {
      const { oid, critical, value } = readExtension(list);
      // RFC 5280 4.2; with two, each reader could believe another one.
      if (seen.has(oid)) list.fail("extension", "twice");
      if (seen.add(oid).size > MAX_EXTENSIONS) list.fail("extensions", `above ${MAX_EXTENSIONS}`);
      if (oid === "2.5.29.17") readAlternativeNames(value, dnsNames, emails, ips);
      else if (oid === "2.5.29.19") basicConstraints = readBasicConstraints(value);
      else if (oid === "2.5.29.15") keyUsage = readKeyUsage(value);
      else if (oid === "2.5.29.37") extendedKeyUsage = readExtendedKeyUsage(value);
      else if (critical) unknownCritical.push(oid);
    }
  }
  return { dnsNames, emails, ips, basicConstraints, keyUsage, extendedKeyUsage, unknownCritical };
}

function readExtension(list: DerReader): { oid: string; critical: boolean; value: DerReader } {
  const extension = list.sequence("extension");
  const oid = extension.oid("extension id");
  // FALSE written out is not DER but common; it changes nothing.
  const critical = extension.peek() === TAG.boolean && extension.boolean("extension critical");
  const value = extension.inside(extension.expect(TAG.octetString, "extension value"));
  extension.finish("after the extension");
  return { oid, critical, value };
}

function readAlternativeNames(
  value: DerReader,
  dnsNames: string[],
  emails: string[],
  ips: Uint8Array[],
): void {
  const names = value.sequence("alternative names");
  value.finish("after the alternative names");
  while (!names.done) {
    const { tag, content, start }: Element = names.read("alternative name");
    if (tag === 0x82) dnsNames.push(latin1(content));
    else if (tag === 0x81) emails.push(latin1(content));
    else if (tag === 0x87) {
      if (content.length !== 4 && content.length !== 16) {
        names.fail("alternative name", `address of ${content.length} bytes`, start);
      }
      ips.push(content);
    }
  }
}

function readBasicConstraints(value: DerReader): { ca: boolean; pathLength?: number } {
  const inside = value.sequence("basic constraints");
  value.finish("after the basic constraints");
  const ca = inside.peek() === TAG.boolean && inside.boolean("basic constraints CA");
  if (inside.done) return { ca };
  const [high = 0, low] = inside.integer("path length", 2);
  inside.finish("after the path length");
  // A negative number would count as no limit somewhere.
  if (high >= 0x80) inside.fail("path length", "negative");
  return { ca, pathLength: low === undefined ? high : high << 8 | low };
}

function readKeyUsage(value: DerReader): string[] {
  const { content, start } = value.expect(TAG.bitString, "key usage");
  value.finish("after the key usage");
  const [unused = 8, ...bits] = content;
  if (unused > 7 || bits.length > 2 || (bits.length === 0 && unused > 0)) {
    value.fail("key usage", "bad bit string", start);
  }
  return KEY_USAGES.filter((_, i) => ((bits[i >> 3] ?? 0) & (0x80 >> (i & 7))) !== 0);
}

function readExtendedKeyUsage(value: DerReader): string[] {
  const list = value.sequence("extended key usage");
  value.finish("after the extended key usage");
  const usages: string[] = [];
  while (!list.done) usages.push(list.oid("extended key usage id"));
  return usages;
}
