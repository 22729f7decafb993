/** The elements that certificates and revocation lists share (RFC 5280). Pure: no I/O. */

import { type DerReader, TAG } from "../der.ts";

/** An algorithm with its parameters as encoded; most have none or a NULL. */
export interface Algorithm {
  readonly oid: string;
  readonly parameters: Uint8Array | undefined;
}

/** AlgorithmIdentifier (4.1.1.2). `der` is the whole element. Does not check the parameters. */
export function readAlgorithm(
  reader: DerReader,
  field: string,
): Algorithm & { readonly der: Uint8Array } {
  const element = reader.expect(TAG.sequence, field);
  const inside = reader.inside(element);
  const oid = inside.oid(`${field} id`);
  const parameters = inside.done ? undefined : inside.read(`${field} parameters`).der;
  inside.finish(`after the ${field}`);
  return { oid, parameters, der: element.der };
}

/** One extension of a certificate, a revocation list or one of its entries. */
export function readExtension(
  list: DerReader,
  field: string,
): { oid: string; critical: boolean; value: DerReader } {
  const extension = list.sequence(field);
  const oid = extension.oid(`${field} id`);
  // An explicit FALSE is not DER, but common and harmless.
  const critical = extension.peek() === TAG.boolean && extension.boolean(`${field} critical`);
  const value = extension.inside(extension.expect(TAG.octetString, `${field} value`));
  extension.finish(`after the ${field}`);
  return { oid, critical, value };
}
