/** Finds the certificate authorities that the system trusts. Looks for files and reads none. */

import type { Env } from "../config/variables.ts";
import type { Files } from "../files/files.ts";
import type { TrustFiles } from "./trust_files.ts";

/** Where systems keep a file of all public authorities. */
export const SYSTEM_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Alpine, Arch, Gentoo
  "/etc/pki/tls/certs/ca-bundle.crt", // Fedora, RHEL
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // the same, the file itself
  "/etc/ssl/ca-bundle.pem", // openSUSE
  "/etc/ssl/cert.pem", // macOS, the BSDs
  "/usr/local/etc/ssl/cert.pem", // FreeBSD
];
/** Where systems without such a file keep a folder. */
const SYSTEM_FOLDERS: readonly string[] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/** Returns the file and folder of the system's authorities: those that SSL_CERT_FILE and
 *  SSL_CERT_DIR name, as with OpenSSL. Otherwise the first that exists. Undefined: there are
 *  none. */
export function systemAuthorities(
  env: Env,
  files: Pick<Files, "stamp">,
): Pick<TrustFiles, "caFile" | "caDir"> | undefined {
  const caFile = env.SSL_CERT_FILE || undefined;
  const caDir = env.SSL_CERT_DIR || undefined;
  if (caFile || caDir) return { caFile, caDir };
  const exists = (path: string): boolean => {
    try {
      return files.stamp(path) !== undefined;
    } catch {
      return false; // in a folder that this process may not search
    }
  };
  const bundle = SYSTEM_BUNDLES.find(exists);
  if (bundle !== undefined) return { caFile: bundle };
  const folder = SYSTEM_FOLDERS.find(exists);
  return folder === undefined ? undefined : { caDir: folder };
}
