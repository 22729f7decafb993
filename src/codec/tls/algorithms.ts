/** The numbers of groups, signature schemes and other algorithms of TLS and their names, from IANA's
 *  registry "TLS Parameters" as of September 2026. */

import { named, type NumberNames } from "./registry.ts";

/** Groups for key exchange ("TLS Supported Groups"). */
export const GROUPS: NumberNames = {
  1: "sect163k1",
  2: "sect163r1",
  3: "sect163r2",
  4: "sect193r1",
  5: "sect193r2",
  6: "sect233k1",
  7: "sect233r1",
  8: "sect239k1",
  9: "sect283k1",
  10: "sect283r1",
  11: "sect409k1",
  12: "sect409r1",
  13: "sect571k1",
  14: "sect571r1",
  15: "secp160k1",
  16: "secp160r1",
  17: "secp160r2",
  18: "secp192k1",
  19: "secp192r1",
  20: "secp224k1",
  21: "secp224r1",
  22: "secp256k1",
  23: "secp256r1",
  24: "secp384r1",
  25: "secp521r1",
  26: "brainpoolP256r1",
  27: "brainpoolP384r1",
  28: "brainpoolP512r1",
  29: "x25519",
  30: "x448",
  31: "brainpoolP256r1tls13",
  32: "brainpoolP384r1tls13",
  33: "brainpoolP512r1tls13",
  34: "GC256A",
  35: "GC256B",
  36: "GC256C",
  37: "GC256D",
  38: "GC512A",
  39: "GC512B",
  40: "GC512C",
  41: "curveSM2",
  256: "ffdhe2048",
  257: "ffdhe3072",
  258: "ffdhe4096",
  259: "ffdhe6144",
  260: "ffdhe8192",
  512: "MLKEM512",
  513: "MLKEM768",
  514: "MLKEM1024",
  4585: "SecP256r1MLKEM512",
  4586: "MLKEM512X25519",
  4587: "SecP256r1MLKEM768",
  4588: "X25519MLKEM768",
  4589: "SecP384r1MLKEM1024",
  4590: "curveSM2MLKEM768",
  25497: "X25519Kyber768Draft00",
  25498: "SecP256r1Kyber768Draft00",
  0xff01: "arbitrary_explicit_prime_curves",
  0xff02: "arbitrary_explicit_char2_curves",
};

/** Signature schemes of TLS 1.3. `signatureScheme` also names the pairs of hash and signature that
 *  only TLS 1.2 has. */
export const SIGNATURE_SCHEMES: NumberNames = {
  0x0201: "rsa_pkcs1_sha1",
  0x0203: "ecdsa_sha1",
  0x0401: "rsa_pkcs1_sha256",
  0x0403: "ecdsa_secp256r1_sha256",
  0x0420: "rsa_pkcs1_sha256_legacy",
  0x0501: "rsa_pkcs1_sha384",
  0x0503: "ecdsa_secp384r1_sha384",
  0x0520: "rsa_pkcs1_sha384_legacy",
  0x0601: "rsa_pkcs1_sha512",
  0x0603: "ecdsa_secp521r1_sha512",
  0x0620: "rsa_pkcs1_sha512_legacy",
  0x0704: "eccsi_sha256",
  0x0705: "iso_ibs1",
  0x0706: "iso_ibs2",
  0x0707: "iso_chinese_ibs",
  0x0708: "sm2sig_sm3",
  0x0709: "gostr34102012_256a",
  0x070a: "gostr34102012_256b",
  0x070b: "gostr34102012_256c",
  0x070c: "gostr34102012_256d",
  0x070d: "gostr34102012_512a",
  0x070e: "gostr34102012_512b",
  0x070f: "gostr34102012_512c",
  0x0804: "rsa_pss_rsae_sha256",
  0x0805: "rsa_pss_rsae_sha384",
  0x0806: "rsa_pss_rsae_sha512",
  0x0807: "ed25519",
  0x0808: "ed448",
  0x0809: "rsa_pss_pss_sha256",
  0x080a: "rsa_pss_pss_sha384",
  0x080b: "rsa_pss_pss_sha512",
  0x081a: "ecdsa_brainpoolP256r1tls13_sha256",
  0x081b: "ecdsa_brainpoolP384r1tls13_sha384",
  0x081c: "ecdsa_brainpoolP512r1tls13_sha512",
  0x0904: "mldsa44",
  0x0905: "mldsa65",
  0x0906: "mldsa87",
  0x0911: "slhdsa_sha2_128s",
  0x0912: "slhdsa_sha2_128f",
  0x0913: "slhdsa_sha2_192s",
  0x0914: "slhdsa_sha2_192f",
  0x0915: "slhdsa_sha2_256s",
  0x0916: "slhdsa_sha2_256f",
  0x0917: "slhdsa_shake_128s",
  0x0918: "slhdsa_shake_128f",
  0x0919: "slhdsa_shake_192s",
  0x091a: "slhdsa_shake_192f",
  0x091b: "slhdsa_shake_256s",
  0x091c: "slhdsa_shake_256f",
};

const HASHES: NumberNames = {
  1: "md5",
  2: "sha1",
  3: "sha224",
  4: "sha256",
  5: "sha384",
  6: "sha512",
};
const SIGNATURES: NumberNames = { 0: "anonymous", 1: "rsa", 2: "dsa", 3: "ecdsa" };

/** The names of a signature scheme, or of a pair of hash and signature (RFC 5246 7.4.1.4.1). */
export function signatureScheme(scheme: number): string {
  const hash = HASHES[scheme >> 8];
  const signature = SIGNATURES[scheme & 0xff];
  const pair = hash !== undefined && signature !== undefined ? `${signature}_${hash}` : undefined;
  return named(SIGNATURE_SCHEMES[scheme] ?? pair, scheme, 4);
}

export const COMPRESSION_METHODS: NumberNames = { 0: "null", 1: "deflate", 64: "lzs" };
export const POINT_FORMATS: NumberNames = {
  0: "uncompressed",
  1: "ansiX962_compressed_prime",
  2: "ansiX962_compressed_char2",
};
export const PSK_MODES: NumberNames = { 0: "psk_ke", 1: "psk_dhe_ke" };
export const CERTIFICATE_TYPES: NumberNames = {
  0: "X.509",
  1: "OpenPGP",
  2: "raw public key",
  3: "1609Dot2",
};
/** RFC 8879 7.3. */
export const CERTIFICATE_COMPRESSIONS: NumberNames = { 1: "zlib", 2: "brotli", 3: "zstd" };
export const CERTIFICATE_STATUS_TYPES: NumberNames = { 1: "ocsp", 2: "ocsp_multi" };
/** RFC 5246 7.4.4, RFC 8422 5.5, RFC 9189. */
export const CLIENT_CERTIFICATE_TYPES: NumberNames = {
  1: "rsa_sign",
  2: "dss_sign",
  3: "rsa_fixed_dh",
  4: "dss_fixed_dh",
  5: "rsa_ephemeral_dh",
  6: "dss_ephemeral_dh",
  20: "fortezza_dms",
  64: "ecdsa_sign",
  65: "rsa_fixed_ecdh",
  66: "ecdsa_fixed_ecdh",
  67: "gost_sign256",
  68: "gost_sign512",
};
/** RFC 9180 7.2 and 7.3. */
export const HPKE_KDFS: NumberNames = { 1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512" };
export const HPKE_AEADS: NumberNames = {
  1: "AES-128-GCM",
  2: "AES-256-GCM",
  3: "ChaCha20Poly1305",
};
