/** Makes chains with their keys from certificate and key files. The order in a file does not
 *  matter: a certificate whose key is present is a server's own, and its chain is found by issuer
 *  names. Errors name the file, the reason and the remedy. No I/O: the caller passes the bytes. */

import type { KeyObject, X509Certificate } from "node:crypto";
import { nodeCrypto } from "../builtins.ts";
import { equalBytes } from "../codec/bytes.ts";
import { decodePem, encodePem } from "../codec/x509/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import type { KeyPair } from "../runtime/runtime.ts";
import { certificatesOf } from "./certificate_blocks.ts";
import { fileKind, isDer, type NamedFile, otherKind } from "./file_kind.ts";
import { isValid, nextChange } from "./lifetime.ts";
import { keysOf } from "./private_keys.ts";
import { refuseKind } from "./server_key.ts";

/** A certificate of a file. */
class Held {
  #library: X509Certificate | undefined;

  constructor(readonly certificate: Certificate, readonly path: string) {}

  /** The certificate as the TLS library reads it. Throws if it cannot. */
  get library(): X509Certificate {
    const der = this.certificate.der as Uint8Array<ArrayBuffer>;
    return this.#library ??= new (nodeCrypto().X509Certificate)(der);
  }
}

/** A key pair with facts about it. */
export interface ServerKeyPair extends KeyPair {
  /** The server's own certificate. */
  leaf: Certificate;
  /** The leaf and the certificates sent after it. */
  certificates: readonly Certificate[];
  /** The file that the leaf came from. */
  path: string;
  /** Time (milliseconds since 1970) until which the same files give the same chain. */
  until: number;
}

/** Maximum certificates in a chain. RFC 5280 sets no limit; public chains have 2 to 4
 *  certificates. */
const MAX_CHAIN = 16;

/** Matches keys and certificates. `password` is for encrypted keys. If several certificates match a
 *  key, uses one that is valid at `now`; likewise for the issuers of a certificate. Throws
 *  `FatalError`. */
export function serverKeyPairs(
  certificateFiles: readonly NamedFile[],
  keyFiles: readonly NamedFile[],
  password: string | undefined,
  now = Date.now(),
): ServerKeyPair[] {
  refuseMistaken(certificateFiles, keyFiles);
  const held = certificateFiles.flatMap(readCertificates);
  const [candidate] = held;
  const explain = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      // A key that cannot be read, or that matches no certificate, may be of a kind that the
      // library does not support.
      if (candidate) refuseKind(candidate.certificate, candidate.path);
      throw error;
    }
  };
  return explain(() => pairsOf(held, certificateFiles, keyFiles, password, now));
}

/** Throws `FatalError`, or what the library throws. */
function pairsOf(
  held: readonly Held[],
  certificateFiles: readonly NamedFile[],
  keyFiles: readonly NamedFile[],
  password: string | undefined,
  now: number,
): ServerKeyPair[] {
  const certificates = held.map(({ certificate }) => certificate);
  const keys = keyFiles.flatMap((file) => keysOf(file, password));
  const until = nextChange(certificates, now);
  const pairs: ServerKeyPair[] = [];
  for (const { key, path } of keys) {
    const own = best(held.filter((one) => matches(one, key)), now);
    if (!own) {
      const where = certificateFiles.map((file) => file.path).join(", ");
      throw new FatalError(
        `unable to use key ${path}: it belongs to no certificate in ${where}`,
        EXIT.system,
        "set KEYFILE to the key for which the certificate was made",
      );
    }
    refuseKind(own.certificate, own.path);
    if (pairs.some((pair) => pair.leaf === own.certificate)) continue;
    const chain = chainOf(own, held, now).map(({ certificate }) => certificate);
    pairs.push({
      chain: chain.map(({ der }) => encodePem("CERTIFICATE", der)).join(""),
      key: key.export({ type: "pkcs8", format: "pem" }) as string,
      leaf: own.certificate,
      certificates: chain,
      path: own.path,
      until,
    });
  }
  return pairs;
}

/** Returns the first one that is valid at `now`; if none is, the one that expires last. */
function best(all: readonly Held[], now: number): Held | undefined {
  return all.find(({ certificate }) => isValid(certificate, now)) ??
    all.toSorted((a, b) => b.certificate.notAfter.ms - a.certificate.notAfter.ms)[0];
}

/** Throws `FatalError` for two mistakes that concern both settings: a key that is missing, and
 *  files that are swapped. */
function refuseMistaken(
  certificateFiles: readonly NamedFile[],
  keyFiles: readonly NamedFile[],
): void {
  const [first] = certificateFiles;
  const keyless = keyFiles.every(({ bytes }) => fileKind(bytes)?.holds === "certificate");
  if (!first || !keyless) return;
  const paths = (files: readonly NamedFile[]): string => files.map(({ path }) => path).join(", ");
  if (keyFiles.every(({ path }) => certificateFiles.some((file) => file.path === path))) {
    throw new FatalError(
      `unable to use certificate ${first.path}: its private key is not in it`,
      EXIT.system,
      "set KEYFILE to the file with the private key",
    );
  }
  if (certificateFiles.every(({ bytes }) => isKeyAlone(bytes))) {
    throw new FatalError(
      `unable to use certificate ${paths(certificateFiles)}: it is a private key, and ` +
        `${paths(keyFiles)} is a certificate: these are swapped`,
      EXIT.system,
      "CERTFILE is for the certificate, KEYFILE for the private key",
    );
  }
}

function isKeyAlone(bytes: Uint8Array): boolean {
  if (fileKind(bytes)?.holds !== "key") return false;
  return isDer(bytes) || certificatesOf(decodePem(bytes)).length === 0;
}

const CERTIFICATE_HINT = "CERTFILE and CERTCHAINFILE must name certificates in PEM form";

function readCertificates(file: NamedFile): Held[] {
  const { path, bytes } = file;
  const fail = (why: string): never => {
    const other = otherKind(file, "certificate");
    throw new FatalError(
      `unable to use certificate ${path}: ${other?.why ?? why}`,
      EXIT.system,
      other?.hint ?? CERTIFICATE_HINT,
    );
  };
  try {
    const ders = isDer(bytes) ? [bytes] : certificatesOf(decodePem(bytes));
    if (ders.length === 0) return fail("no certificate in it");
    return ders.map((der) => new Held(readCertificate(der), path));
  } catch (error) {
    if (error instanceof FatalError) throw error;
    return fail(reason(error));
  }
}

function matches(one: Held, key: KeyObject): boolean {
  try {
    return one.library.checkPrivateKey(key);
  } catch {
    return false; // a public key of a kind that the library does not know cannot match
  }
}

/** Returns the certificate, its issuer's certificate and so on, as far as `all` has them. A root in
 *  `all` is sent too: DANE-TA(2) needs it (RFC 7671 5.2.1). */
function chainOf(leaf: Held, all: readonly Held[], now: number): Held[] {
  const chain = [leaf];
  let last = leaf;
  while (!last.certificate.selfIssued && chain.length < MAX_CHAIN) {
    const { issuer: name } = last.certificate;
    const named = all.filter((other) =>
      !chain.includes(other) && equalBytes(other.certificate.subject.der, name.der)
    );
    const signers = named.filter((other) => signed(other, last));
    const issuer = best(signers.length > 0 ? signers : named, now);
    if (!issuer) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

/** True if `issuer` signed `one`. Renewed and cross-signed authorities share their name; only the
 *  signature distinguishes them. */
function signed(issuer: Held, one: Held): boolean {
  try {
    return one.library.verify(issuer.library.publicKey);
  } catch {
    return false;
  }
}
