/** From certificate and key files to chains with their keys. The order in a file does not matter:
 *  a certificate whose key is there is a server's own, and its chain is found by issuer names.
 *  What is wrong is said with the file, the reason and what to do. No I/O: bytes come in. */

import { Buffer } from "node:buffer";
import type { KeyObject, X509Certificate } from "node:crypto";
import { nodeCrypto } from "../builtins.ts";
import { equalBytes } from "../codec/bytes.ts";
import { decodePem, encodePem, type PemBlock } from "../codec/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { KeyPair } from "../runtime/runtime.ts";

export interface NamedFile {
  path: string;
  bytes: Uint8Array;
}

/** A key pair with what is worth knowing of it. */
export interface ServerKeyPair extends KeyPair {
  /** The server's own certificate. */
  leaf: Certificate;
  /** The file it came from. */
  path: string;
}

/** RFC 5280 sets no limit; public chains have 2 to 4 certificates. */
const MAX_CHAIN = 16;

/** Matches keys and certificates. `password` is for encrypted keys. Throws `FatalError`. */
export function serverKeyPairs(
  certificateFiles: readonly NamedFile[],
  keyFiles: readonly NamedFile[],
  password: string | undefined,
): ServerKeyPair[] {
  const certificates = certificateFiles.flatMap(certificatesOf);
  const keys = keyFiles.flatMap((file) => keysOf(file, password));
  const pairs: ServerKeyPair[] = [];
  for (const { key, path } of keys) {
    const own = certificates.find(({ certificate }) => matches(certificate, key));
    if (!own) {
      const where = certificateFiles.map((file) => file.path).join(", ");
      throw new FatalError(
        `unable to use key ${path}: it belongs to no certificate in ${where}`,
        EXIT.system,
        "set KEYFILE to the key for which the certificate was made",
      );
    }
    if (pairs.some((pair) => pair.leaf === own.certificate)) continue;
    const chain = chainOf(own.certificate, certificates.map(({ certificate }) => certificate));
    pairs.push({
      chain: chain.map(({ der }) => encodePem("CERTIFICATE", der)).join(""),
      key: key.export({ type: "pkcs8", format: "pem" }) as string,
      leaf: own.certificate,
      path: own.path,
    });
  }
  return pairs;
}

function certificatesOf({ path, bytes }: NamedFile): { certificate: Certificate; path: string }[] {
  const fail = (why: string): never => {
    throw new FatalError(
      `unable to use certificate ${path}: ${why}`,
      EXIT.system,
      "CERTFILE and CERTCHAINFILE want certificates in PEM form",
    );
  };
  let ders: Uint8Array[];
  try {
    ders = isPem(bytes)
      ? decodePem(bytes)
        .filter(({ label }) => label === "CERTIFICATE" || label === "X509 CERTIFICATE")
        .map((block) => block.bytes)
      : [bytes];
    if (ders.length === 0) return fail("no certificate in it");
    return ders.map((der) => ({ certificate: readCertificate(der), path }));
  } catch (error) {
    if (error instanceof FatalError) throw error;
    return fail(bytes.length === 0 ? "the file is empty" : reason(error));
  }
}

function keysOf(
  { path, bytes }: NamedFile,
  password: string | undefined,
): { key: KeyObject; path: string }[] {
  const fail = (why: string, hint: string): never => {
    throw new FatalError(`unable to use key ${path}: ${why}`, EXIT.system, hint);
  };
  if (!isPem(bytes)) return [{ key: derKey(bytes) ?? fail("no key in it", KEY_HINT), path }];
  let blocks: PemBlock[];
  try {
    blocks = decodePem(bytes).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  } catch (error) {
    return fail(reason(error), KEY_HINT);
  }
  if (blocks.length === 0) return fail("no key in it", KEY_HINT);
  return blocks.map((block) => {
    const encrypted = block.label.startsWith("ENCRYPTED") || block.headers.has("DEK-Info");
    if (encrypted && password === undefined) {
      return fail("it is encrypted", "give its password on descriptor 3, with -3");
    }
    try {
      const key = nodeCrypto().createPrivateKey({
        key: withHeaders(block),
        format: "pem",
        ...(encrypted ? { passphrase: password } : {}),
      });
      return { key, path };
    } catch (error) {
      // A library's words about a key it could not decrypt say nothing and differ each time.
      return encrypted
        ? fail("the password is wrong, or its encryption is not supported", PASSWORD_HINT)
        : fail(reason(error), KEY_HINT);
    }
  });
}

const KEY_HINT = "KEYFILE wants a key in PEM form: PKCS #8, PKCS #1 or SEC 1";
const PASSWORD_HINT =
  "the password on descriptor 3 ends with a NUL; openssl pkcs8 -topk8 -v2 aes-256-cbc makes a key of the supported kind";

/** The text of a block, header lines included: they say how an old key is encrypted. */
function withHeaders({ label, headers, bytes }: PemBlock): string {
  const pem = encodePem(label, bytes);
  if (headers.size === 0) return pem;
  const lines = [...headers].map(([name, text]) => `${name}: ${text}`).join("\n");
  return pem.replace("\n", `\n${lines}\n\n`);
}

function derKey(bytes: Uint8Array): KeyObject | undefined {
  for (const type of ["pkcs8", "pkcs1", "sec1"] as const) {
    try {
      return nodeCrypto().createPrivateKey({ key: Buffer.from(bytes), format: "der", type });
    } catch {
      // Another form, then.
    }
  }
  return undefined;
}

function isPem(bytes: Uint8Array): boolean {
  // DER begins with SEQUENCE; text cannot.
  return bytes[0] !== 0x30 || bytes[1] === 0x0a || bytes[1] === 0x0d;
}

function matches(certificate: Certificate, key: KeyObject): boolean {
  try {
    return libraryForm(certificate).checkPrivateKey(key);
  } catch {
    return false; // a public key of a kind the library does not know is not this key's
  }
}

/** The certificate, the one that issued it, and so on, as far as they are there. A root that is
 *  there is sent too: DANE-TA(2) needs it (RFC 7671 5.2.1). */
function chainOf(leaf: Certificate, all: readonly Certificate[]): Certificate[] {
  const chain = [leaf];
  let last = leaf;
  while (!last.selfIssued && chain.length < MAX_CHAIN) {
    const issuers = all.filter((other) =>
      !chain.includes(other) && equalBytes(other.subject.der, last.issuer.der)
    );
    const issuer = issuers.find((other) => signed(other, last)) ?? issuers[0];
    if (!issuer) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

/** Renewed and cross-signed authorities share their name; the signature tells them apart. */
function signed(issuer: Certificate, certificate: Certificate): boolean {
  try {
    return libraryForm(certificate).verify(libraryForm(issuer).publicKey);
  } catch {
    return false;
  }
}

/** As the TLS library reads it. */
function libraryForm({ der }: Certificate): X509Certificate {
  const { X509Certificate } = nodeCrypto();
  return new X509Certificate(der as Uint8Array<ArrayBuffer>);
}
