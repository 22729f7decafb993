/** Signatures of certificates and revocation lists, and how strong keys must be. No I/O.
 *  `X509Certificate.verify` is not used: Deno 2.9.6 throws for P-521 and returns false for RSA-PSS.
 *  `crypto.verify` over the signed bytes supports both on both runtimes, and works for lists as
 *  well.
 *
 *  The minimum strength is that of OpenSSL's security level 2 (112 bits): RSA from 2048 bits, no
 *  MD5, no SHA-1. It is the default in Debian, and in OpenSSL since 3.2. The reasons are OpenSSL's
 *  words.
 *
 *  These are refused, although OpenSSL accepts them:
 *  - as "unsupported signature algorithm": SHA-3, and RSA-PSS with another hash in its mask; on
 *    Deno also P-521 with a hash shorter than SHA-384.
 *  - as "unsupported public key algorithm": the keys that `path_rules.ts` lists; on Deno also RSA
 *    above 4096 bits.
 *
 *  Deno 2.9.6 cannot verify what is refused on Deno alone. */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "../builtins.ts";
import { KEY, namedCurve, rsaBits } from "../codec/x509/key_facts.ts";
import { readPss, SHA1, type Signed, type SubjectKey } from "../codec/x509/path.ts";
import type { PublicKeyProblem, SignatureProblem } from "./chain_fault.ts";

/** A public key that signatures can be verified with. */
export interface VerifyKey {
  readonly kind: "rsa" | "ec" | "ed25519";
  /** Key size in bits: the RSA modulus or the curve order. */
  readonly bits: number;
  readonly object: KeyObject;
}

const UNSUPPORTED_KEY = "unsupported public key algorithm";
const UNSUPPORTED_SIGNATURE = "unsupported signature algorithm";
const WEAK_DIGEST = "CA signature digest algorithm too weak";

/** Minimum RSA key size in bits: level 2 of SSL_CTX_set_security_level(3). */
const MIN_RSA = 2048;
/** A larger key in a client's chain would only cost CPU time. Deno 2.9.6 supports no key above 4096
 *  bits. */
const MAX_RSA = 8192;
/** A large exponent makes verification as expensive as signing. BoringSSL's limit is 33 bits. */
const MAX_EXPONENT_BYTES = 4;

/** Curves that are supported. Explicit parameters are refused: a sender that chooses the generator
 *  can forge signatures (CVE-2020-0601). */
const CURVES = ["P-224", "P-256", "P-384", "P-521"];

const RSA_HASHES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.113549.1.1.14": "sha224",
};
const EC_HASHES: Readonly<Record<string, string>> = {
  "1.2.840.10045.4.3.1": "sha224",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
};
/** Hashes by themselves, as in the parameters of RSA-PSS. */
const HASHES: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
  "2.16.840.1.101.3.4.2.4": "sha224",
};
/** MD2, MD4, MD5 and SHA-1, with RSA, DSA and ECDSA. */
const WEAK = new Set([
  "1.2.840.113549.1.1.2",
  "1.2.840.113549.1.1.3",
  "1.2.840.113549.1.1.4",
  "1.2.840.113549.1.1.5",
  "1.3.14.3.2.29",
  "1.2.840.10045.4.1",
  "1.2.840.10040.4.3",
  "1.3.14.3.2.27",
]);

/** Returns the key for `crypto.verify`, or a reason if its kind is not supported. `tooWeak` checks
 *  its strength. */
export function verifyKey({ der, algorithm, rsa }: SubjectKey): VerifyKey | PublicKeyProblem {
  let kind: VerifyKey["kind"];
  let bits: number;
  if (algorithm.oid === KEY.rsa && rsa) {
    bits = rsaBits(rsa);
    if (bits > MAX_RSA || !soundExponent(rsa.exponent)) return UNSUPPORTED_KEY;
    kind = "rsa";
  } else if (algorithm.oid === KEY.ec) {
    const curve = namedCurve(algorithm);
    if (!curve || !CURVES.includes(curve.name)) return UNSUPPORTED_KEY;
    [kind, bits] = ["ec", curve.bits];
  } else if (algorithm.oid === KEY.ed25519) [kind, bits] = ["ed25519", 256];
  else return UNSUPPORTED_KEY;
  try {
    const key = Buffer.from(der);
    const object = nodeCrypto().createPublicKey({ key, format: "der", type: "spki" });
    return { kind, bits, object };
  } catch {
    return UNSUPPORTED_KEY; // not a point of the curve, an even modulus, and the like
  }
}

/** True if the exponent is odd, above 1 and not too long. With 1, any bytes can be made a valid
 *  signature. */
function soundExponent(exponent: Uint8Array): boolean {
  const last = exponent.at(-1) ?? 0;
  if (exponent.length > MAX_EXPONENT_BYTES || last % 2 === 0) return false;
  return exponent.length > 1 || last > 1;
}

/** True for RSA below 2048 bits; all supported curves are strong enough. */
export function tooWeak({ kind, bits }: VerifyKey): boolean {
  return kind === "rsa" && bits < MIN_RSA;
}

/** Returns why this signature is refused; undefined if it is good. */
export function signatureProblem(
  { algorithm: { oid, parameters }, body, signature }: Signed,
  { kind, bits, object }: VerifyKey,
  bad: SignatureProblem = "certificate signature failure",
): SignatureProblem | undefined {
  if (WEAK.has(oid)) return WEAK_DIGEST;
  const { constants, verify } = nodeCrypto();
  try {
    let good: boolean;
    if (oid === KEY.pss) {
      if (kind !== "rsa") return bad;
      const { hash, maskHash, saltLength } = readPss(parameters ?? new Uint8Array());
      if (hash === SHA1) return WEAK_DIGEST;
      const name = HASHES[hash];
      // node:crypto uses one hash for both.
      if (name === undefined || maskHash !== hash) return UNSUPPORTED_SIGNATURE;
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      good = verify(name, body, { key: object, padding, saltLength }, signature);
    } else if (oid in RSA_HASHES) {
      if (kind !== "rsa") return bad;
      const padding = constants.RSA_PKCS1_PADDING;
      good = verify(RSA_HASHES[oid], body, { key: object, padding }, signature);
    } else if (oid in EC_HASHES) {
      if (kind !== "ec") return bad;
      const hash = EC_HASHES[oid] ?? "";
      if (bits === 521 && hash < "sha384" && !shortHashes()) return UNSUPPORTED_SIGNATURE;
      good = verify(hash, body, { key: object, dsaEncoding: "der" }, signature);
    } else if (oid === KEY.ed25519) {
      if (kind !== "ed25519") return bad;
      good = verify(null, body, object, signature);
    } else return UNSUPPORTED_SIGNATURE;
    return good ? undefined : bad;
  } catch {
    return bad; // a signature of the wrong form
  }
}

let able: boolean | undefined;
/** True if this runtime can verify P-521 over SHA-256. Deno 2.9.6 returns false for every such
 *  signature, good or not. Tested once, so that the log names the cause. */
function shortHashes(): boolean {
  if (able !== undefined) return able;
  try {
    const { generateKeyPairSync, sign, verify } = nodeCrypto();
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
    const body = Buffer.from("x");
    able = verify("sha256", body, publicKey, sign("sha256", body, privateKey));
  } catch {
    able = false;
  }
  return able;
}
