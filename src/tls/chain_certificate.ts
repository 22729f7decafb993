/** A certificate as a link of a chain: what `codec/x509/certificate.ts` and `codec/x509/path.ts` read of it, with what is
 *  worked out once and used often. No I/O, no verdict. */

import { nodeCrypto } from "../builtins.ts";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import type { Certificate } from "../codec/x509/certificate.ts";
import { type PathFields, readPathFields } from "../codec/x509/path.ts";
import { type VerifyKey, verifyKey } from "./signature.ts";

/** A certificate that a chain is made of. */
export class ChainCertificate {
  readonly fields: PathFields;
  /** Names as map keys. */
  readonly subject: string;
  readonly issuer: string;
  #key: VerifyKey | string | undefined;
  #id: string | undefined;

  /** Throws `DecodeError`. `trusted`: it comes from our files, not from the client. */
  constructor(readonly certificate: Certificate, readonly trusted: boolean) {
    this.fields = readPathFields(certificate);
    this.subject = latin1(certificate.subject.der);
    this.issuer = certificate.selfIssued ? this.subject : latin1(certificate.issuer.der);
  }

  /** Made when first needed; a reason if it cannot be. */
  get key(): VerifyKey | string {
    return this.#key ??= verifyKey(this.fields.key);
  }

  /** SHA-256 of the certificate, in base64. */
  get id(): string {
    return this.#id ??= nodeCrypto().createHash("sha256").update(this.certificate.der).digest(
      "base64",
    );
  }

  /** Subject and issuer have one name and, where they tell, one key. */
  get selfSigned(): boolean {
    return this.certificate.selfIssued && this.namesKeyOf(this);
  }

  /** Does the authority key identifier, if there is one, mean this key? RFC 5280 4.2.1.1. */
  namesKeyOf(issuer: ChainCertificate): boolean {
    const { authorityKeyId } = this.fields;
    const { subjectKeyId } = issuer.fields;
    return !authorityKeyId || !subjectKeyId || equalBytes(authorityKeyId, subjectKeyId);
  }
}
