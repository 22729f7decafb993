/** The certificate and key files of one configuration: finds and reads them. */

import { nodeCrypto } from "../builtins.ts";
import { EXIT, FatalError } from "../errors.ts";
import { type Files, localFiles, namedFiles } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import type { NamedFile } from "./file_kind.ts";
import type { TlsConfig } from "./settings.ts";

/** Maximum size of a certificate or key file, in bytes. A larger one is a mistake (PEM bundles have
 *  200 KB). */
const MAX_FILE = 4 << 20;

/** The content of the files of a configuration. */
export interface Contents {
  certificates: NamedFile[];
  keys: NamedFile[];
}

type Values = Pick<TlsConfig, "certificates" | "keys">;

/** Returns the paths that the values name now. When a file appears whose name is the whole value,
 *  the value no longer names a list. The signature of the paths then has other lines, so that
 *  change is noticed too. */
export function keyPairFiles(
  { certificates, keys }: Values,
  from: Files = localFiles,
): { certificates: string[]; keys: string[] } {
  return { certificates: namedFiles(certificates, from), keys: namedFiles(keys, from) };
}

/** Reads the files of a configuration. `content`: a hash of their content. Throws `FatalError`. */
export function readFiles(
  config: Values,
  from: Files = localFiles,
): { files: Contents; content: string } {
  const hash = nodeCrypto().createHash("sha256");
  const paths = keyPairFiles(config, from);
  const read = (what: string, value: string, hint: string) => (path: string): NamedFile => {
    try {
      const bytes = from.read(path, MAX_FILE);
      hash.update(bytes);
      return { path, bytes };
    } catch (error) {
      throw new FatalError(
        `unable to read ${what} ${path}: ${systemReason(error)}`,
        EXIT.system,
        path === value || !value.includes(":")
          ? hint
          : `there is no file ${value}, so it is a list of files, separated by colons`,
        error,
      );
    }
  };
  const { certificates, keys } = config;
  const files = {
    certificates: paths.certificates.map(
      read(
        "certificate",
        certificates,
        "CERTFILE or CERTCHAINFILE must name a PEM file this user can read",
      ),
    ),
    keys: paths.keys.map(read("key", keys, "KEYFILE must name a PEM file this user can read")),
  };
  return { files, content: hash.digest("hex") };
}
