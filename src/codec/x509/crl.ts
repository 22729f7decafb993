/** Reads certificate revocation lists (RFC 5280 chapter 5). Pure: no I/O. Signature and dates are
 *  verified elsewhere.
 *  Only complete lists are accepted. A list that covers only some certificates (delta,
 *  distribution point, indirect) says so in an extension, which should be critical. Such a list
 *  is refused even if the extension is not critical: otherwise a certificate outside its scope
 *  would count as not revoked. */

import { DecodeError, equalBytes, hex } from "../bytes.ts";
import { DerReader, TAG } from "../der.ts";
import { readAlgorithm, readExtension } from "./elements.ts";
import { readSigned, type Signed } from "./path.ts";
import { readTime, type Time } from "./time.ts";

/** The fields read from a revocation list. */
export interface Crl {
  readonly signed: Signed;
  /** The issuer's name in DER. */
  readonly issuer: Uint8Array;
  readonly thisUpdate: Time;
  readonly nextUpdate: Time;
  /** The serial numbers, as encoded, in hex. */
  readonly revoked: ReadonlySet<string>;
}

/** An entry has about 37 bytes, so this is about 400,000 entries. Public authorities split longer
 *  lists by distribution point. */
const MAX_CRL = 16 << 20;
/** As in `certificate.ts`. */
const MAX_SERIAL = 128;
/** RFC 5280 5.2 defines eight. */
const MAX_EXTENSIONS = 64;

/** Extensions of a list that does not cover all certificates of its issuer by serial number (RFC
 *  5280 5.2.4, 5.2.5; X.509 9.5). They are refused even if they are not critical. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ["2.5.29.27", "a delta list"],
  ["2.5.29.28", "a list of one distribution point"],
  ["2.5.29.44", "a list with a scope"],
  ["2.5.29.45", "a list of referrals"],
  ["2.5.29.59", "a list of groups"],
  ["2.5.29.63", "a list of one distribution point"],
]);
/** RFC 5280 5.3.3: this entry and those after it are for certificates of another issuer. */
const UNSUPPORTED_IN_ENTRY: ReadonlyMap<string, string> = new Map([
  ["2.5.29.29", "an entry of an indirect list"],
]);

/** Extensions that do not affect the result, critical or not: key identifier, alternative names,
 *  number. */
const IGNORED = new Set(["2.5.29.35", "2.5.29.18", "2.5.29.20"]);
/** Reason and date of the revocation. The certificate is revoked whatever they say. The reason
 *  removeFromCRL is for delta lists (RFC 5280 5.3.1); in a complete list the entry still counts. */
const IGNORED_IN_ENTRY = new Set(["2.5.29.21", "2.5.29.24"]);

const FORMAT = "crl";

/** Reads one list in DER; throws `DecodeError` on anything irregular. */
export function readCrl(der: Uint8Array): Crl {
  if (der.length > MAX_CRL) throw new DecodeError(`${FORMAT}: list: above ${MAX_CRL} bytes`);
  const signed = readSigned(der, FORMAT);
  const body = new DerReader(der, FORMAT).sequence("list").sequence("body");

  let version = 1;
  if (body.peek() === TAG.integer) {
    // Version 1 has no such field (RFC 5280 5.1.2.1).
    if (!equalBytes(body.integer("version", 1), Uint8Array.of(1))) body.fail("version", "unknown");
    version = 2;
  }
  const algorithm = readAlgorithm(body, "signature algorithm");
  const same = algorithm.oid === signed.algorithm.oid &&
    equalBytes(
      algorithm.parameters ?? new Uint8Array(),
      signed.algorithm.parameters ?? new Uint8Array(),
    );
  if (!same) body.fail("signature algorithm", "differs from the one outside");
  const issuer = body.expect(TAG.sequence, "issuer").der;
  const thisUpdate = readTime(body, "this update");
  // RFC 5280 5.1.2.5 requires nextUpdate. A list without it would never expire.
  if (body.peek() !== TAG.utcTime && body.peek() !== TAG.generalizedTime) {
    body.fail("next update", "missing");
  }
  const nextUpdate = readTime(body, "next update");

  const revoked = new Set<string>();
  const list = body.optional(TAG.sequence, "entries");
  if (list) {
    const entries = body.inside(list);
    while (!entries.done) revoked.add(readEntry(entries, version));
  }
  const tagged = body.optional(0xa0, "extensions tag");
  if (tagged) {
    if (version !== 2) body.fail("extensions", "not in version 2", tagged.start);
    const wrapper = body.inside(tagged);
    readExtensions(wrapper, "extension", IGNORED, UNSUPPORTED);
    wrapper.finish("after the extensions");
  }
  body.finish("after the body");
  return { signed, issuer, thisUpdate, nextUpdate, revoked };
}

/** Returns the serial number in hex. */
function readEntry(entries: DerReader, version: number): string {
  const entry = entries.sequence("entry");
  const serial = hex(entry.integer("entry serial", MAX_SERIAL));
  readTime(entry, "entry date");
  if (!entry.done) {
    if (version !== 2) entry.fail("entry extensions", "not in version 2");
    readExtensions(entry, "entry extension", IGNORED_IN_ENTRY, UNSUPPORTED_IN_ENTRY);
    entry.finish("after the entry");
  }
  return serial;
}

function readExtensions(
  reader: DerReader,
  field: string,
  known: ReadonlySet<string>,
  partial: ReadonlyMap<string, string>,
): void {
  const list = reader.sequence(`${field}s`);
  const seen = new Set<string>();
  while (!list.done) {
    const { oid, critical } = readExtension(list, field);
    if (seen.has(oid)) list.fail(field, "twice");
    if (seen.add(oid).size > MAX_EXTENSIONS) list.fail(`${field}s`, `above ${MAX_EXTENSIONS}`);
    const kind = partial.get(oid);
    if (kind !== undefined) list.fail(field, `${oid} marks ${kind}, which is not supported`);
    if (critical && !known.has(oid)) list.fail(field, `critical ${oid} is not supported`);
  }
}
