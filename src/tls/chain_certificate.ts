/** A certificate as a link of a chain: the fields that `codec/x509/certificate.ts` and
 *  `codec/x509/path.ts` read, and cached values made of them. No I/O, no verdict. */

import { nodeCrypto } from "../builtins.ts";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { type PathFields, readPathFields } from "../codec/x509/path.ts";
import type { PublicKeyProblem } from "./chain_fault.ts";
import { type VerifyKey, verifyKey } from "./signature.ts";

/** A certificate that a chain is made of. */
export class ChainCertificate {
  readonly fields: PathFields;
  /** Names (DER) as map keys. */
  readonly subject: string;
  readonly issuer: string;
  #key: VerifyKey | PublicKeyProblem | undefined;
  #id: string | undefined;

  /** `trusted`: the certificate comes from our files, not from the client. Throws `DecodeError`. */
  constructor(readonly certificate: Certificate, readonly trusted: boolean) {
    this.fields = readPathFields(certificate);
    this.subject = latin1(certificate.subject.der);
    this.issuer = certificate.selfIssued ? this.subject : latin1(certificate.issuer.der);
  }

  /** The public key, made on first use; a string says why it cannot be used. */
  get key(): VerifyKey | PublicKeyProblem {
    return this.#key ??= verifyKey(this.fields.key);
  }

  /** SHA-256 of the certificate, in base64. */
  get id(): string {
    return this.#id ??= nodeCrypto().createHash("sha256").update(this.certificate.der).digest(
      "base64",
    );
  }

  /** True if subject and issuer have the same name and the key identifiers, if present, are
   *  equal. */
  get selfSigned(): boolean {
    return this.certificate.selfIssued && this.namesKeyOf(this);
  }

  /** True if the authority key identifier matches the issuer's key, or if one of the two key
   *  identifiers is absent (RFC 5280 4.2.1.1). */
  namesKeyOf(issuer: ChainCertificate): boolean {
    const { authorityKeyId } = this.fields;
    const { subjectKeyId } = issuer.fields;
    return !authorityKeyId || !subjectKeyId || equalBytes(authorityKeyId, subjectKeyId);
  }
}
