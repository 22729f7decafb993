/** Reads the files of authorities and revocation lists (CAFILE, CADIR, CRLFILE). A server reads them
 *  in full and checks them when it starts, not when a client connects, so that a broken file is
 *  reported at once and a handshake reads nothing. A client decodes the files, and reads only the
 *  certificates that the server's chain needs.
 *
 *  As in OpenSSL, one bad file does not affect the others. At start, a file of authorities that
 *  cannot be used is skipped; that is fatal only if nothing is left to trust. Later, the former
 *  content of a broken file stays in use. A file that was removed from its folder, or is a link
 *  that leads nowhere, is no longer trusted. Lists fail closed: a revoked client must not be
 *  admitted because its list is broken. */

import { join } from "node:path";
import { latin1 } from "../codec/bytes.ts";
import { readCertificate } from "../codec/x509/certificate.ts";
import { type Crl, readCrl } from "../codec/x509/crl.ts";
import { decodePem } from "../codec/x509/pem.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { certificateNames, type Files, localFiles } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { certificateOf, TRUSTED } from "./certificate_blocks.ts";
import { fileKind, isDer, type NamedFile } from "./file_kind.ts";
import { ChainCertificate } from "./chain_certificate.ts";
import { Trust } from "./trust.ts";

/** The paths to read; each is optional. */
export interface TrustFiles {
  /** PEM (or one certificate in DER): authorities, and revocation lists if there are any. */
  readonly caFile?: string | undefined;
  /** A folder of such files. If it has names made by `c_rehash` (`1a2b3c4d.0`, `1a2b3c4d.r0`), only
   *  these are read, as in OpenSSL; otherwise every `.pem`, `.crt`, `.cer` and `.crl`. */
  readonly caDir?: string | undefined;
  /** Revocation lists, in PEM or one in DER. */
  readonly crlFile?: string | undefined;
}

/** Maximum size of a file, in bytes. The 150 or so public authorities have 220 KB; revocation lists
 *  are larger. */
export const MAX_FILE = 16 << 20;
/** Maximum files in a folder, and maximum authorities in all: ten times what a distribution
 *  ships. */
export const MAX_FILES = 2048;
const MAX_CERTIFICATES = 4096;
/** File names of lists in a folder. */
const LIST_NAME = /\.(?:r\d{1,4}|crl)$/i;

const CA_HINT = "CAFILE and CADIR must name certificates of authorities in PEM form";
const CRL_HINT = "CRLFILE must name complete revocation lists, in PEM form or one in DER";
const FOLDER_HINT = "name the files *.pem or *.crt, or run openssl rehash on the folder";

/** What one file holds. */
interface Held {
  readonly links: readonly ChainCertificate[];
  readonly crls: readonly Crl[];
  /** Certificates (DER) to be read when needed. */
  readonly unread: readonly Uint8Array[];
}

/** The content of the files by path, for the next reading. */
export type HeldFiles = ReadonlyMap<string, Held>;

export interface LoadedTrust {
  readonly trust: Trust;
  readonly held: HeldFiles;
  /** Which files could not be used, and the consequence. */
  readonly problems: readonly string[];
  /** True if a start would accept the files as they are. */
  readonly upToDate: boolean;
}

/** Reads the files. Without any, no certificate is trusted. `before`: what was read last time;
 *  undefined at start. `lazy`: decode certificates when a chain needs them. Throws `FatalError` with
 *  the file, the reason and the remedy. */
export function loadTrust(
  { caFile, caDir, crlFile }: TrustFiles,
  from: Files = localFiles,
  before?: HeldFiles,
  lazy = false,
): LoadedTrust {
  const reading = new Reading(from, before, lazy);
  if (caFile) reading.authorities(caFile, false);
  if (caDir) reading.folder(caDir);
  if (caFile || caDir) reading.mustTrust([caFile, caDir].filter((path) => path).join(" and "));
  if (crlFile) reading.lists(crlFile);
  return reading.done(caDir ? [caDir] : []);
}

class Reading {
  readonly held = new Map<string, Held>();
  readonly problems: string[] = [];
  #first: FatalError | undefined;
  #lacksLists = false;
  #upToDate = true;
  #count = 0;

  constructor(
    readonly from: Files,
    readonly before: HeldFiles | undefined,
    readonly lazy: boolean,
  ) {}

  folder(path: string): void {
    let names: string[];
    try {
      names = certificateNames(this.from.list(path));
    } catch (error) {
      const why = `unable to read CA folder ${path}: ${systemReason(error)}`;
      const old = [...this.before ?? []].filter(([file]) => file.startsWith(join(path, "/")));
      for (const [file, contents] of old) this.#hold(file, contents);
      this.#problem(new FatalError(why, EXIT.system, CA_HINT), old.length > 0);
      return;
    }
    if (names.length > MAX_FILES) {
      const why = `unable to use CA folder ${path}: above ${MAX_FILES} files`;
      throw new FatalError(why, EXIT.system, FOLDER_HINT);
    }
    if (names.length === 0) {
      const why = `unable to use CA folder ${path}: no file in it is named like a certificate`;
      this.#problem(new FatalError(why, EXIT.system, FOLDER_HINT), false);
    }
    for (const name of names) this.authorities(join(path, name), true);
  }

  authorities(path: string, inFolder: boolean): void {
    const file = this.#read("CA file", path, CA_HINT, inFolder);
    if (!file) return;
    let held: Held;
    try {
      held = readAuthorities(file, this.lazy);
    } catch (error) {
      const mayBeList = latin1(file.bytes).includes("CRL");
      return this.#broken(path, error as FatalError, inFolder, mayBeList);
    }
    this.#hold(path, held);
  }

  /** Reads CRLFILE. The server does not start if it cannot be used. */
  lists(path: string): void {
    try {
      const file = { path, bytes: this.from.read(path, MAX_FILE) };
      this.#hold(path, readLists(file));
    } catch (error) {
      const fatal = error instanceof FatalError
        ? error
        : cannotRead("revocation list", path, error, CRL_HINT);
      const old = this.before?.get(path);
      if (!old) throw fatal;
      this.#hold(path, old);
      this.#problem(fatal, true);
    }
  }

  /** If there is no authority, throws at start, and reports a problem on a reload. */
  mustTrust(where: string): void {
    if (this.#count > 0) return;
    const none = new FatalError(
      `unable to use CA folder ${where}: no certificate in it`,
      EXIT.system,
      CA_HINT,
    );
    if (!this.before) throw this.#first ?? none;
    this.problems.push(`no authority remains in ${where}`);
    this.#upToDate = false;
  }

  done(folders: readonly string[]): LoadedTrust {
    const { held, problems } = this;
    const all = [...held.values()];
    const links = all.flatMap(({ links }) => links);
    const crls = all.flatMap(({ crls }) => crls);
    const unread = all.flatMap(({ unread }) => unread);
    const files = [...folders, ...held.keys()];
    const trust = new Trust(links, crls, files, this.#lacksLists, unread);
    return { trust, held, problems, upToDate: this.#upToDate };
  }

  #read(what: string, path: string, hint: string, inFolder: boolean): NamedFile | undefined {
    try {
      return { path, bytes: this.from.read(path, MAX_FILE) };
    } catch (error) {
      const gone = inFolder && (error as { code?: unknown }).code === "ENOENT";
      this.#broken(path, cannotRead(what, path, error, hint), inFolder, false, gone);
      return undefined;
    }
  }

  #broken(
    path: string,
    error: FatalError,
    inFolder: boolean,
    mayBeList: boolean,
    gone = false,
  ): void {
    const old = gone ? undefined : this.before?.get(path);
    if (old) {
      this.#hold(path, old);
      return this.#problem(error, true);
    }
    const isList = mayBeList || (inFolder && LIST_NAME.test(path));
    this.#lacksLists ||= isList;
    this.#problem(error, false, isList);
  }

  #problem(error: FatalError, kept: boolean, isList = false): void {
    this.#first ??= error;
    if (kept) this.#upToDate = false;
    const then = kept
      ? "the old authorities stay in use"
      : isList
      ? "revocation is checked without it"
      : "it is ignored";
    this.problems.push(`${error.message}; ${then}`);
  }

  #hold(path: string, held: Held): void {
    this.held.set(path, held);
    this.#count += held.links.length + held.unread.length;
    if (this.#count <= MAX_CERTIFICATES) return;
    const why = `unable to use CA file ${path}: above ${MAX_CERTIFICATES} certificates with it`;
    throw new FatalError(why, EXIT.system, CA_HINT);
  }
}

/** Makes a `Trust` of files that have been read. Throws `FatalError` if one of them is bad. */
export function makeTrust(
  authorities: readonly NamedFile[],
  lists: readonly NamedFile[] = [],
): Trust {
  const held = [
    ...authorities.map((file) => readAuthorities(file, false)),
    ...lists.map(readLists),
  ];
  const links = held.flatMap(({ links }) => links);
  const crls = held.flatMap(({ crls }) => crls);
  return new Trust(links, crls, [...authorities, ...lists].map(({ path }) => path));
}

function readAuthorities(file: NamedFile, lazy: boolean): Held {
  const links: ChainCertificate[] = [];
  const crls: Crl[] = [];
  const unread: Uint8Array[] = [];
  return parse("CA file", file, CA_HINT, () => {
    if (isDer(file.bytes)) links.push(new ChainCertificate(readCertificate(file.bytes), true));
    else {
      for (const block of decodePem(file.bytes)) {
        if (block.label === TRUSTED) {
          // Its trust settings may say "for this purpose only" or "not any more", so it must not be
          // ignored silently.
          throw new Error("TRUSTED CERTIFICATE is not supported: convert it with openssl x509");
        }
        const der = certificateOf(block);
        if (der && lazy) unread.push(der);
        else if (der) links.push(new ChainCertificate(readCertificate(der), true));
        else if (block.label === "X509 CRL") crls.push(readCrl(block.bytes));
      }
    }
    if (links.length + crls.length + unread.length === 0) throw new Error("no certificate in it");
    return { links, crls, unread };
  });
}

function readLists(file: NamedFile): Held {
  return parse("revocation list", file, CRL_HINT, () => {
    const crls = isDer(file.bytes)
      ? [readCrl(file.bytes)]
      : decodePem(file.bytes).filter(({ label }) => label === "X509 CRL")
        .map(({ bytes }) => readCrl(bytes));
    if (crls.length === 0) throw new Error("no X509 CRL in it");
    return { links: [], crls, unread: [] };
  });
}

function parse(what: string, { path, bytes }: NamedFile, hint: string, read: () => Held): Held {
  try {
    return read();
  } catch (error) {
    const kind = fileKind(bytes);
    const wanted = what === "CA file" ? "certificate" : "list";
    const other = kind && kind.holds !== wanted ? kind : undefined;
    const cause = bytes.length === 0
      ? "the file is empty"
      : `${reason(error)}${other ? `, it is ${other.is}` : ""}`;
    throw new FatalError(
      `unable to use ${what} ${path}: ${cause}`,
      EXIT.system,
      other?.remedy?.replaceAll("FILE", path) ?? hint,
    );
  }
}

function cannotRead(what: string, path: string, error: unknown, hint: string): FatalError {
  return new FatalError(
    `unable to read ${what} ${path}: ${systemReason(error)}`,
    EXIT.system,
    hint,
  );
}
