/** Names the format of a file that lacks what its setting needs: certificates, keys and lists come
 *  in a dozen formats, and are often mixed up. Pure: no I/O. This file only names the kind; the
 *  code that reads a file decides whether it is valid. */

import { latin1 } from "../codec/bytes.ts";
import { DerReader, TAG } from "../codec/der.ts";
import { decodePem } from "../codec/x509/pem.ts";

/** A file that a setting names. `path` is for messages. */
export interface NamedFile {
  path: string;
  bytes: Uint8Array;
}

export interface FileKind {
  /** Completes a message, as in `it is a public key`. */
  readonly is: string;
  /** What the user can do about it. `FILE` stands for the file's path. */
  readonly remedy?: string;
  readonly holds?: "certificate" | "key" | "list";
}

const CERTIFICATE: FileKind = { is: "a certificate", holds: "certificate" };
const KEY: FileKind = { is: "a private key", holds: "key" };
const LIST: FileKind = { is: "a revocation list", holds: "list" };
const REQUEST: FileKind = {
  is: "a certificate request",
  remedy: "use the certificate that the authority issued for it",
};
const PUBLIC_KEY: FileKind = { is: "a public key" };
const DH: FileKind = { is: "parameters for Diffie-Hellman, which are not needed" };
const PKCS12: FileKind = {
  is: "PKCS #12",
  remedy: "convert it: openssl pkcs12 -in FILE -nodes -out FILE.pem (with -legacy for an old one)",
};
const PKCS7: FileKind = {
  is: "PKCS #7",
  remedy:
    "convert it: openssl pkcs7 -print_certs -in FILE -out FILE.pem (a binary one: -inform DER)",
};
const OPENSSH: FileKind = {
  is: "a key in OpenSSH's format",
  remedy: "convert a copy of it in place: ssh-keygen -p -m PKCS8 -f COPY",
};

/** Kinds by PEM label. The first row that matches any label of a file decides. */
const LABELS: readonly (readonly [label: RegExp, kind: FileKind])[] = [
  [/^OPENSSH PRIVATE KEY$/, OPENSSH],
  [/PRIVATE KEY$/, KEY],
  [/CERTIFICATE REQUEST$/, REQUEST],
  [/CERTIFICATE$/, CERTIFICATE],
  [/^X509 CRL$/, LIST],
  [/PUBLIC KEY$/, PUBLIC_KEY],
  [/^(PKCS7|CMS)$/, PKCS7],
  [/^EC PARAMETERS$/, { is: "the name of a curve, without a key" }],
  [/PARAMETERS$/, DH],
  [/^PGP /, { is: "in OpenPGP's format" }],
];

/** Kinds by the first bytes, for formats that we cannot read (RFC 4716, PuTTY, Java). */
const BEGINNINGS: readonly (readonly [begin: RegExp, kind: FileKind])[] = [
  [/^(\xff\xfe|\xfe\xff)/, {
    is: "text in UTF-16",
    remedy: "convert it: iconv -f UTF-16 -t UTF-8 FILE >FILE.pem",
  }],
  [/^(ssh-|ecdsa-sha2-|sk-)\S+ AAAA|^---- BEGIN SSH2 PUBLIC KEY/, {
    is: "a public key in OpenSSH's format",
  }],
  [/^PuTTY-User-Key-File-/, {
    is: "a key in PuTTY's format",
    remedy: "convert it: puttygen FILE -O private-openssh -o FILE.pem",
  }],
  [/^(\xfe\xed\xfe\xed|\xce\xce\xce\xce)/, {
    is: "a Java keystore",
    remedy: "convert it: keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 " +
      "-deststoretype PKCS12, then openssl pkcs12 -in FILE.p12 -nodes -out FILE.pem",
  }],
  [/^\s*<(!doctype|html|\?xml)/i, { is: "a web page" }],
];

/** Returns the kind of a file by its content; undefined if the kind is unknown or the content
 *  damaged. */
export function fileKind(bytes: Uint8Array): FileKind | undefined {
  const begin = latin1(bytes.subarray(0, 256));
  const known = BEGINNINGS.find(([pattern]) => pattern.test(begin));
  if (known) return known[1];
  try {
    return isDer(bytes) ? derKind(bytes) : pemKind(bytes);
  } catch {
    return undefined;
  }
}

/** True if the file begins like DER or BER, with a SEQUENCE. Its tag is also the character `0`, so
 *  a `0` before a line end counts as text. */
export function isDer(bytes: Uint8Array): boolean {
  const [tag, length = 0] = bytes;
  return tag === TAG.sequence && length !== 0x0a && length !== 0x0d;
}

function pemKind(bytes: Uint8Array): FileKind | undefined {
  const labels = decodePem(bytes).map(({ label }) => label);
  for (const [pattern, kind] of LABELS) {
    if (labels.some((label) => pattern.test(label))) return kind;
  }
  return undefined;
}

/** Decides by the types of the first elements alone. */
function derKind(bytes: Uint8Array): FileKind | undefined {
  // Java and Windows write PKCS #12 with indefinite lengths (BER).
  const outer = bytes[1] === 0x80
    ? new DerReader(bytes, "file", 2)
    : new DerReader(bytes, "file").sequence("file");
  const first = outer.read("first element");
  const second = outer.peek();
  if (first.tag === TAG.oid) return PKCS7; // RFC 5652 3
  if (first.tag === TAG.integer) {
    if (first.content[0] === 3 && second === TAG.sequence) return PKCS12; // RFC 7292 4
    if (first.content.length > 1) return DH;
    const inKeys: readonly number[] = [TAG.sequence, TAG.integer, TAG.octetString];
    return inKeys.includes(second) ? KEY : undefined; // RFC 5208 5, 8017 A.1.2, 5915 3
  }
  if (first.tag !== TAG.sequence) return undefined;
  if (second === TAG.octetString) return { ...KEY, is: "an encrypted private key" };
  if (second === TAG.bitString) return PUBLIC_KEY;
  const body = outer.inside(first);
  const [one, two] = [body.read("version"), body.peek()];
  if (one.tag === 0xa0) return CERTIFICATE;
  if (one.tag === TAG.integer && one.content[0] === 0 && two === TAG.sequence) {
    body.read("subject");
    // Next is the key in a request, and the issuer in a certificate of version 1. A key begins with
    // a sequence, an issuer with a set.
    const key = body.inside(body.read("key"));
    return key.peek() === TAG.sequence ? REQUEST : CERTIFICATE;
  }
  if (one.tag === TAG.integer && two === TAG.sequence) {
    return one.content[0] === 1 && listFollows(body) ? LIST : CERTIFICATE;
  }
  return one.tag === TAG.sequence ? LIST : undefined; // a list of version 1
}

/** True if a list follows. A list goes on with algorithm, issuer and time (RFC 5280 5.1); a
 *  certificate of version 1 with algorithm, issuer and validity, which is a sequence. */
function listFollows(body: DerReader): boolean {
  body.read("algorithm");
  body.read("issuer");
  const next = body.peek();
  return next === TAG.utcTime || next === TAG.generalizedTime;
}

/** Returns what the file holds instead of a certificate or key, and the remedy; undefined if the
 *  kind is unknown or the wanted one. */
export function otherKind(
  { path, bytes }: NamedFile,
  wanted: "certificate" | "key",
): { why: string; hint: string | undefined } | undefined {
  if (bytes.length === 0) return { why: "the file is empty", hint: undefined };
  const kind = fileKind(bytes);
  if (!kind || kind.holds === wanted) return undefined;
  return { why: `it is ${kind.is}`, hint: kind.remedy?.replaceAll("FILE", path) };
}
