/** Reads the extensions that decide what a certificate may be used for (RFC 5280 4.2.1). Pure: no
 *  I/O. A part of `certificate.ts`, whose rules for reading apply here. */

import { latin1 } from "../bytes.ts";
import { type DerReader, type Element, TAG } from "../der.ts";
import { readExtension } from "./elements.ts";

/** The values read from the extensions. */
export interface Extensions {
  /** Subject alternative names. Text is one character per byte, and not validated. */
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ips: readonly Uint8Array[];
  /** Alternative names of other kinds: tag (RFC 5280 4.2.1.6) and content. */
  readonly otherNames: readonly { readonly tag: number; readonly content: Uint8Array }[];
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength?: number } | undefined;
  /** Names as in RFC 5280 4.2.1.3; undefined: no restriction. */
  readonly keyUsage: readonly string[] | undefined;
  /** Object identifiers; undefined: no restriction. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Critical extensions other than the above. A verifier that does not know them must refuse. */
  readonly unknownCritical: readonly string[];
}

/** A certificate has about ten. A list of thousands of tiny ones would only cost time. */
const MAX_EXTENSIONS = 64;
/** Public authorities put at most 2,000 names into a certificate. */
const MAX_NAMES = 4096;
/** RFC 5280 defines six. */
const MAX_USAGES = 256;

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

/** Reads the extensions at the end of a certificate's body, if there are any. */
export function readExtensions(body: DerReader, version: number): Extensions {
  const dnsNames: string[] = [];
  const emails: string[] = [];
  const ips: Uint8Array[] = [];
  const otherNames: { tag: number; content: Uint8Array }[] = [];
  const unknownCritical: string[] = [];
  let basicConstraints: Extensions["basicConstraints"];
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
      const { oid, critical, value } = readExtension(list, "extension");
      // RFC 5280 4.2 forbids duplicates: programs differ in which one they use.
      if (seen.has(oid)) list.fail("extension", "twice");
      if (seen.add(oid).size > MAX_EXTENSIONS) list.fail("extensions", `above ${MAX_EXTENSIONS}`);
      if (oid === "2.5.29.17") readAlternativeNames(value, { dnsNames, emails, ips, otherNames });
      else if (oid === "2.5.29.19") basicConstraints = readBasicConstraints(value);
      else if (oid === "2.5.29.15") keyUsage = readKeyUsage(value);
      else if (oid === "2.5.29.37") extendedKeyUsage = readExtendedKeyUsage(value);
      else if (critical) unknownCritical.push(oid);
    }
  }
  return {
    dnsNames,
    emails,
    ips,
    otherNames,
    basicConstraints,
    keyUsage,
    extendedKeyUsage,
    unknownCritical,
  };
}

function readAlternativeNames(
  value: DerReader,
  to: {
    dnsNames: string[];
    emails: string[];
    ips: Uint8Array[];
    otherNames: { tag: number; content: Uint8Array }[];
  },
): void {
  const names = value.sequence("alternative names");
  value.finish("after the alternative names");
  for (let count = 0; !names.done;) {
    if (++count > MAX_NAMES) names.fail("alternative names", `above ${MAX_NAMES}`);
    const { tag, content, start }: Element = names.read("alternative name");
    if (tag === 0x82) to.dnsNames.push(latin1(content));
    else if (tag === 0x81) to.emails.push(latin1(content));
    else if (tag === 0x87) {
      if (content.length !== 4 && content.length !== 16) {
        names.fail("alternative name", `address of ${content.length} bytes`, start);
      }
      to.ips.push(content);
    } else to.otherNames.push({ tag, content });
  }
}

function readBasicConstraints(value: DerReader): { ca: boolean; pathLength?: number } {
  const inside = value.sequence("basic constraints");
  value.finish("after the basic constraints");
  const ca = inside.peek() === TAG.boolean && inside.boolean("basic constraints CA");
  if (inside.done) return { ca };
  const [high = 0, low] = inside.integer("path length", 2);
  inside.finish("after the path length");
  // Some programs could read a negative number as no limit.
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
  while (!list.done) {
    if (usages.length === MAX_USAGES) list.fail("extended key usage", `above ${MAX_USAGES}`);
    usages.push(list.oid("extended key usage id"));
  }
  return usages;
}
