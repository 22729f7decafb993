/** Whom we trust: the certificate authorities and revocation lists that verification of client
 *  certificates starts from (CAFILE, CADIR, CRLFILE). Reads files when asked to; what a server
 *  trusts is read in full and checked when it starts, not when a client comes, so that a broken
 *  file is known at once and a handshake reads nothing.
 *
 *  As in OpenSSL, an authority is an end of a chain (an anchor) only if it is self-signed; another
 *  one that is here (an intermediate) helps to build chains. A revocation list, wherever it stands,
 *  switches checking on for every certificate, where OpenSSL ignores lists unless told to check: who
 *  puts one there wants it to count. `TRUSTED CERTIFICATE` blocks and unreadable files are errors. */

import { join } from "node:path";
import { equalBytes, latin1 } from "../codec/bytes.ts";
import { type Crl, readCrl } from "../codec/crl.ts";
import { decodePem, encodePem } from "../codec/pem.ts";
import { readCertificate } from "../codec/x509.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { type Files, localFiles, systemReason } from "../files.ts";
import type { NamedFile } from "./key_pairs.ts";
import { Link } from "./link.ts";

/** Where to read from; all may be left out. */
export interface TrustFiles {
  /** PEM (or one certificate in DER): authorities, and revocation lists if there are any. */
  readonly caFile?: string | undefined;
  /** A folder of such files. With names made by `c_rehash` (`1a2b3c4d.0`, `1a2b3c4d.r0`) in it
   *  these alone are read, as OpenSSL does; else every `.pem`, `.crt`, `.cer` and `.crl`. */
  readonly caDir?: string | undefined;
  /** Revocation lists, in PEM or one in DER. */
  readonly crlFile?: string | undefined;
}

/** All public authorities are about 150 in 220 KB; lists of revoked certificates are larger. */
export const MAX_FILE = 16 << 20;
/** Files in a folder, and authorities in all: ten times what a distribution ships. */
export const MAX_FILES = 2048;
const MAX_CERTIFICATES = 4096;
/** Links that were found good and need not be verified again, 130 bytes each. */
const MAX_KNOWN = 4096;

const HASHED = /^[0-9a-f]{8}\.r?\d{1,4}$/;
const PLAIN = /\.(?:pem|crt|cer|crl)$/i;

const CA_HINT = "CAFILE and CADIR want certificates of authorities in PEM form";
const CRL_HINT = "CRLFILE wants complete revocation lists, in PEM form or one in DER";

/** A revocation list with the keys it was found to be signed by. */
export interface HeldCrl {
  readonly crl: Crl;
  readonly signers: Set<string>;
}

/** Authorities and lists, read and indexed. Holds only caches that change. */
export class Trust {
  readonly #bySubject = new Map<string, Link[]>();
  readonly #crls = new Map<string, HeldCrl[]>();
  readonly #known = new Set<string>();

  /** `files`: what was read, the folder included, for who wants to look if it has changed. */
  constructor(links: readonly Link[], crls: readonly Crl[], readonly files: readonly string[]) {
    for (const link of links) {
      const same = this.#bySubject.get(link.subject);
      if (!same) this.#bySubject.set(link.subject, [link]);
      else if (!same.some(({ id }) => id === link.id)) same.push(link);
    }
    for (const crl of crls) {
      const issuer = latin1(crl.issuer);
      const held = { crl, signers: new Set<string>() };
      this.#crls.set(issuer, [...this.#crls.get(issuer) ?? [], held]);
    }
  }

  /** Certificates with this subject, in the order of the files. */
  named(subject: string): readonly Link[] {
    return this.#bySubject.get(subject) ?? [];
  }

  /** The certificate itself, if it is in our files. */
  find(der: Uint8Array, subject: string): Link | undefined {
    return this.named(subject).find(({ certificate }) => equalBytes(certificate.der, der));
  }

  /** True: every certificate of a chain needs a valid list of its issuer. */
  get checksRevocation(): boolean {
    return this.#crls.size > 0;
  }

  /** The lists of the issuer of this name. */
  crlsOf(issuer: string): readonly HeldCrl[] {
    return this.#crls.get(issuer) ?? [];
  }

  /** The certificates in PEM, for the names that are sent in the request. */
  get pem(): string[] {
    return [...this.#bySubject.values()].flat()
      .map(({ certificate }) => encodePem("CERTIFICATE", certificate.der));
  }

  /** Was `link` found to be signed by `issuer`, in a chain that was accepted? */
  knows(link: Link, issuer: Link): boolean {
    return this.#known.has(link.id + issuer.id);
  }

  /** Remembers the signatures of an accepted chain, so that nobody without one can fill this. */
  remember(path: readonly Link[]): void {
    for (let i = 0; i + 1 < path.length; i++) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.add((path[i] as Link).id + (path[i + 1] as Link).id);
    }
  }
}

/** Reads the files and makes a `Trust` of them; without any it trusts nobody. Throws `FatalError`
 *  with the file, the reason and what to do. */
export function loadTrust(
  { caFile, caDir, crlFile }: TrustFiles,
  from: Files = localFiles,
): Trust {
  const authorities: NamedFile[] = [];
  const lists: NamedFile[] = [];
  if (caFile) authorities.push(readFile(from, "CA file", caFile, CA_HINT));
  const folder = caDir ? folderFiles(from, caDir) : [];
  for (const path of folder) authorities.push(readFile(from, "CA file", path, CA_HINT));
  if (crlFile) lists.push(readFile(from, "revocation list", crlFile, CRL_HINT));
  return makeTrust(authorities, lists, caDir ? [caDir] : []);
}

/** As `loadTrust`, from what others have read. */
export function makeTrust(
  authorities: readonly NamedFile[],
  lists: readonly NamedFile[] = [],
  moreFiles: readonly string[] = [],
): Trust {
  const links: Link[] = [];
  const crls: Crl[] = [];
  for (const file of authorities) {
    const before = links.length + crls.length;
    attempt("CA file", file, CA_HINT, () => readAuthorities(file.bytes, links, crls));
    if (links.length + crls.length === before) fail("CA file", file, "no certificate in it");
    if (links.length > MAX_CERTIFICATES) {
      fail("CA file", file, `above ${MAX_CERTIFICATES} certificates with it`);
    }
  }
  for (const file of lists) {
    const before = crls.length;
    attempt("revocation list", file, CRL_HINT, () => readLists(file.bytes, crls));
    if (crls.length === before) fail("revocation list", file, "no X509 CRL in it", CRL_HINT);
  }
  const paths = [...authorities, ...lists].map(({ path }) => path);
  return new Trust(links, crls, [...moreFiles, ...paths]);
}

function readAuthorities(bytes: Uint8Array, links: Link[], crls: Crl[]): void {
  if (isDer(bytes)) {
    links.push(new Link(readCertificate(bytes), true));
    return;
  }
  for (const { label, bytes: der } of decodePem(bytes)) {
    if (label === "CERTIFICATE" || label === "X509 CERTIFICATE") {
      links.push(new Link(readCertificate(der), true));
    } else if (label === "X509 CRL") crls.push(readCrl(der));
    else if (label === "TRUSTED CERTIFICATE") {
      // It may say "for this purpose only" or "not any more": not to be skipped in silence.
      throw new Error("TRUSTED CERTIFICATE is not supported: convert it with openssl x509");
    }
  }
}

function readLists(bytes: Uint8Array, crls: Crl[]): void {
  if (isDer(bytes)) crls.push(readCrl(bytes));
  else {
    for (const { label, bytes: der } of decodePem(bytes)) {
      if (label === "X509 CRL") crls.push(readCrl(der));
    }
  }
}

/** DER begins with a SEQUENCE of more than 127 bytes; text does not. */
function isDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80;
}

function attempt(what: string, file: NamedFile, hint: string, read: () => void): void {
  try {
    read();
  } catch (error) {
    fail(what, file, reason(error), hint);
  }
}

function fail(what: string, { path, bytes }: NamedFile, why: string, hint = CA_HINT): never {
  const cause = bytes.length === 0 ? "the file is empty" : why;
  throw new FatalError(`unable to use ${what} ${path}: ${cause}`, EXIT.system, hint);
}

function folderFiles(from: Files, folder: string): string[] {
  let names: string[];
  try {
    names = from.list(folder);
  } catch (error) {
    const why = systemReason(error);
    throw new FatalError(`unable to read CA folder ${folder}: ${why}`, EXIT.system, CA_HINT);
  }
  const wanted = certificateNames(names);
  const why = wanted.length === 0
    ? "no file in it is named like a certificate"
    : wanted.length > MAX_FILES
    ? `above ${MAX_FILES} files`
    : undefined;
  if (why) {
    const hint = "name the files *.pem or *.crt, or run openssl rehash on the folder";
    throw new FatalError(`unable to use CA folder ${folder}: ${why}`, EXIT.system, hint);
  }
  return wanted.map((name) => join(folder, name));
}

/** The names of a folder that count; see `TrustFiles.caDir`. */
export function certificateNames(names: readonly string[]): string[] {
  const hashed = names.filter((name) => HASHED.test(name));
  return hashed.length > 0 ? hashed : names.filter((name) => PLAIN.test(name));
}

function readFile(from: Files, what: string, path: string, hint: string): NamedFile {
  try {
    return { path, bytes: from.read(path, MAX_FILE) };
  } catch (error) {
    throw new FatalError(
      `unable to read ${what} ${path}: ${systemReason(error)}`,
      EXIT.system,
      hint,
    );
  }
}
