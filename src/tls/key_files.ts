/** The files of one configuration: which they are, and what they hold. */

import { nodeCrypto } from "../builtins.ts";
import { EXIT, FatalError } from "../errors.ts";
import { type Files, localFiles, namedFiles, systemReason } from "../files/files.ts";
import type { NamedFile } from "./file_kind.ts";
import type { TlsConfig } from "./settings.ts";

/** A certificate or key file beyond this is a mistake (PEM bundles have 200 KB). */
const MAX_FILE = 4 << 20;

/** What the files of a configuration hold. */
export interface Contents {
  certificates: NamedFile[];
  keys: NamedFile[];
}

type Values = Pick<TlsConfig, "certificates" | "keys">;

/** The paths, as things are now. A signature of their stamps tells a list from a file of that name, too:
 *  other paths, other lines. */
export function keyPairFiles(
  { certificates, keys }: Values,
  from: Files = localFiles,
): { certificates: string[]; keys: string[] } {
  return { certificates: namedFiles(certificates, from), keys: namedFiles(keys, from) };
}

/** The files of a configuration, and a hash of what they hold. Throws `FatalError`. */
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
