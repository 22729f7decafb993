/** The authorities that a certificate request names (CCAFILE, CCADIR), if they are not the trusted
 *  ones. One bad file does not affect the others, as in `trust_files.ts`. */

import { decodePem } from "../codec/x509/pem.ts";
import { type Certificate, readCertificate } from "../codec/x509/certificate.ts";
import { EXIT, FatalError, reason } from "../errors.ts";
import { type Files } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import { certificatesOf } from "./certificate_blocks.ts";
import { type HeldFiles, loadTrust, MAX_FILE, type TrustFiles } from "./trust_files.ts";

export interface Named {
  readonly authorities: readonly Certificate[];
  /** Which files could not be used, and the consequence. */
  readonly problems: readonly string[];
  /** True if a start would accept the files as they are. */
  readonly upToDate: boolean;
  /** The authorities of CCAFILE alone, for the next reading. */
  readonly inFile: readonly Certificate[] | undefined;
  readonly inFolder: HeldFiles | undefined;
}

/** `before`: what was read last time; undefined at start. Throws `FatalError` if a start finds
 *  nothing that can be used. */
export function loadNames(
  { caFile, caDir }: Pick<TrustFiles, "caFile" | "caDir">,
  from: Files,
  before?: Named,
): Named {
  const problems: string[] = [];
  const failures: FatalError[] = [];
  let upToDate = true;
  const attempt = <T>(old: T | undefined, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      const then = old === undefined ? "it is ignored" : "the old authorities stay in use";
      problems.push(`${reason(error)}; ${then}`);
      failures.push(error as FatalError);
      if (old !== undefined) upToDate = false;
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
    upToDate: upToDate && (inFile ?? folder) !== undefined && (folder?.upToDate ?? true),
    inFile,
    inFolder: folder?.held,
  };
}

/** Returns the certificates of a file, which may be empty. Each is decoded, so that the TLS library
 *  never gets a broken one: Bun's would refuse it, Deno's would send it as it is. */
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
