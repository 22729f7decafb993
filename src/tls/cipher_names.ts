/** Names and key sizes of cipher suites. Pure. Programs expect OpenSSL's names; a runtime may only
 *  know the registered ones (IANA, TLS Parameters). The registered names follow one scheme, so
 *  rules translate them and no table is needed. */

/** A cipher suite as a runtime names it. */
export interface CipherName {
  /** OpenSSL's name, or the registered one. */
  readonly name: string;
  /** The registered name, where both are known. */
  readonly standardName?: string | undefined;
}

/** Returns OpenSSL's name: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` becomes
 *  `ECDHE-RSA-AES128-GCM-SHA256`. The suites of TLS 1.3 keep their registered names. Covers RSA,
 *  DHE and ECDHE with AES, 3DES and ChaCha20, which is more than the libraries of the two runtimes
 *  still have. */
export function opensslCipher({ name, standardName = name }: CipherName): string {
  // rustls names the suites of TLS 1.3 like this.
  if (name.startsWith("TLS13_")) return `TLS_${name.slice(6)}`;
  if (!name.startsWith("TLS_") || !standardName.includes("_WITH_")) return name;
  return standardName
    .replace(/^TLS_(?:RSA_WITH_)?/, "")
    .replace("_WITH_", "_")
    .replace(/AES_(128|256)_(?:CBC_)?/, "AES$1_")
    .replace("3DES_EDE_CBC", "DES_CBC3")
    .replace("POLY1305_SHA256", "POLY1305")
    .replace("CCM_8", "CCM8")
    .replaceAll("_", "-");
}

/** Key sizes in bits: `used` is the effective strength, `possible` the size that the algorithm
 *  uses. Undefined for an unknown cipher. */
export function keySizes(name: string): { used: number; possible: number } | undefined {
  if (name.includes("CHACHA20")) return { used: 256, possible: 256 };
  // Three keys of 56 bits; a meet-in-the-middle attack reduces the strength to that of two.
  if (name.includes("DES-CBC3")) return { used: 112, possible: 168 };
  const bits = /(?:AES|CAMELLIA|ARIA)[-_]?(128|256)/.exec(name)?.[1];
  return bits === undefined ? undefined : { used: Number(bits), possible: Number(bits) };
}
