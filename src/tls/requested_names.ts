/** The authorities that a certificate request names (CCAFILE, CCADIR) when they are not those that are
 *  trusted. Read as `trust_files.ts` reads those: one bad file does not spoil the others. */

import { decodePem } from "../codec/x509/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { type Files, systemReason } from "../files/files.ts";
import { certificatesOf } from "./certificate_blocks.ts";
import { type HeldFiles, loadTrust, MAX_FILE, type TrustFiles } from "./trust_files.ts";

export interface Named {
  readonly authorities: readonly Certificate[];
  /** What could not be used, and what became of it. */
  readonly problems: readonly string[];
  /** A start would take the files as they are. */
  readonly sound: boolean;
  /** Of the file alone, for the next reading. */
  readonly inFile: readonly Certificate[] | undefined;
  readonly inFolder: HeldFiles | undefined;
}

/** `before`: what was read last time, if this is a renewal. Throws `FatalError` when a start finds nothing
 *  that can be used. */
export function loadNames(
  { caFile, caDir }: Pick<TrustFiles, "caFile" | "caDir">,
  from: Files,
  before?: Named,
): Named {
  const problems: string[] = [];
  const failures: FatalError[] = [];
  let sound = true;
  const attempt = <T>(old: T | undefined, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      const then = old === undefined ? "it is passed over" : "the old authorities stay in use";
      problems.push(`${reason(error)}; ${then}`);
      failures.push(error as FatalError);
      if (old !== undefined) sound = false;
      return old;
    }
  };
  const inFile = caFile ? attempt(before?.inFile, () => certificatesIn(caFile, from)) : undefined;
  const folder = caDir
    ? attempt(undefined, () => loadTrust({ caDir }, from, before && (before.inFolder ?? new Map())))
    : undefined;
  if (!before && !inFile && !folder) throw failures[0];
  return {
    authorities: [...inFile ?? [], ...folder?.trust.authorities ?? []],
    problems: [...problems, ...folder?.problems ?? []],
    sound: sound && (inFile ?? folder) !== undefined && (folder?.sound ?? true),
    inFile,
    inFolder: folder?.held,
  };
}

/** Certificates of a file, which may hold none at all. Read one by one, so that the TLS library is given none
 *  that it would refuse (Bun), or send as it is (Deno). */
function certificatesIn(path: string, from: Files): Certificate[] {
  try {
    return certificatesOf(decodePem(from.read(path, MAX_FILE))).map(readCertificate);
  } catch (error) {
    throw new FatalError(
      `unable to read CCAFILE ${path}: ${systemReason(error)}`,
      EXIT.system,
      "it must hold certificates in PEM form, none for an empty list; - asks for none",
    );
  }
}
