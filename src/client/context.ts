/** Makes the TLS context of a client: its certificate and key, the ciphers and the versions.
 *  verify.ts verifies the server. */

import type { ClientOptions } from "../config/client_options.ts";
import { EXIT, FatalError, quoted, UsageError } from "../errors.ts";
import { localFiles } from "../files/files.ts";
import { systemReason } from "../runtime/system_reason.ts";
import {
  ContextError,
  type Runtime,
  type TlsContext,
  type TlsVersion,
} from "../runtime/runtime.ts";
import type { NamedFile } from "../tls/file_kind.ts";
import type { ServerKeyPair } from "../tls/key_pairs.ts";
import { defaultCiphers } from "../tls/prepared.ts";
import { refuseTls13Suites } from "../tls/settings.ts";

/** Maximum size of a certificate or key file, in bytes. A bundle of all public authorities has 200
 *  KB. */
const MAX_FILE = 4 << 20;

/** The settings of a client's TLS. */
export interface ClientTls {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  readonly ciphers: string | undefined;
  readonly alpn?: readonly string[] | undefined;
  /** The client's certificate and key. */
  readonly own: ServerKeyPair | undefined;
}

/** Makes the context. Throws `FatalError`, or `Unsupported` if the TLS library lacks something. */
export function clientTlsContext(runtime: Runtime, tls: ClientTls): TlsContext {
  const { minVersion, maxVersion, own, ciphers, alpn } = tls;
  if (ciphers !== undefined) refuseTls13Suites("the ciphers", ciphers);
  try {
    return runtime.clientContext({
      minVersion,
      maxVersion,
      ciphers: ciphers ?? (runtime.cipherLists ? defaultCiphers(minVersion) : undefined),
      alpn,
      keyPair: own,
    });
  } catch (error) {
    if (!(error instanceof ContextError)) throw error;
    throw error.setting === "ciphers"
      ? new UsageError(`unable to use the ciphers ${quoted(ciphers ?? "")}: ${error.message}`)
      : new FatalError(`unable to use certificate ${own?.path}: ${error.message}`);
  }
}

/** Reads the files of -c and -k. Throws `FatalError`. */
export async function ownKeyPair(
  { certFile, keyFile = certFile }: Pick<ClientOptions, "certFile" | "keyFile">,
  password: string | undefined,
): Promise<ServerKeyPair | undefined> {
  if (certFile === undefined || keyFile === undefined) return undefined;
  const certificate = readFile("certificate", certFile);
  const key = keyFile === certFile ? certificate : readFile("key", keyFile);
  return await keyPairOf(certificate, key, password, HINT);
}

const HINT = "-c and -k name PEM files; an encrypted key needs -3 and its password on descriptor 3";

/** Matches a certificate and its key. Throws `FatalError` with `hint`. */
export async function keyPairOf(
  certificate: NamedFile,
  key: NamedFile,
  password: string | undefined,
  hint: string,
): Promise<ServerKeyPair | undefined> {
  const { serverKeyPairs } = await import("../tls/key_pairs.ts");
  try {
    return serverKeyPairs([certificate], [key], password)[0];
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    throw new FatalError(error.message, error.code, hint);
  }
}

function readFile(what: string, path: string): NamedFile {
  try {
    return { path, bytes: localFiles.read(path, MAX_FILE) };
  } catch (error) {
    throw new FatalError(
      `unable to read ${what} ${path}: ${systemReason(error)}`,
      EXIT.system,
      undefined,
      error,
    );
  }
}
