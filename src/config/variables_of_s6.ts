/** The variables of s6-networking's s6-tlsserver: how they become those of the server, and which of
 *  them programs get. */

import process from "node:process";
import { UsageError } from "../errors.ts";
import type { Options } from "./options.ts";
import { type Env, isInherited, ofServerName } from "./variables.ts";

/** The variables that s6-tlsd reads. Programs get them only with -Z. */
const READ = ["KEYFILE", "CERTFILE", "CADIR", "CAFILE", "TLS_UID", "TLS_GID"];
/** Maximum number of intermediate certificates that libtls accepts. */
const DEPTH = "6";

/** Translates the variables to those that the server reads. Throws `UsageError` if a required one
 *  is missing. */
export function serverSettings(env: Env, options: Options, root = process.getuid?.() === 0): Env {
  const given: Record<string, string | undefined> = { ...env };
  const { TLS_UID, TLS_GID, CADIR } = given;
  if (options.serverNames !== "only" && !options.selfSigned) {
    for (const name of ["CERTFILE", "KEYFILE"]) {
      if (!given[name]) throw new UsageError(`$${name} is not set`, `set ${name} to a file`);
    }
  }
  const asks = options.clientCertificate !== "none";
  if (asks && !CADIR && !given["CAFILE"]) {
    throw new UsageError(
      "neither $CADIR nor $CAFILE is set",
      "set one of them to the authorities that are trusted, or leave out -y and -Y",
    );
  }
  for (const name of [...(CADIR ? ["CAFILE"] : []), "TLS_UID", "TLS_GID"]) delete given[name];
  if (asks) given["VERIFYDEPTH"] ??= DEPTH;
  // As in s6-tlsserver, they apply only to root, and 0 changes nothing.
  if (root && TLS_UID && TLS_UID !== "0") given["SSL_UID"] = TLS_UID;
  if (root && TLS_GID && TLS_GID !== "0") given["SSL_GID"] = TLS_GID;
  return given;
}

/** The variables that every program gets from the server's environment. */
export function inheritedByPrograms(
  env: Env,
  { keep, identityFromEnvironment }: {
    readonly keep: boolean;
    readonly identityFromEnvironment: boolean;
  },
): Record<string, string> {
  const isRead = (name: string): boolean => READ.includes(name) || ofServerName(name) !== undefined;
  const hidden = identityFromEnvironment ? ["UID", "GID", "GIDLIST"] : [];
  const kept = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    if (value === undefined || hidden.includes(name)) return false;
    return isRead(name) ? keep : isInherited(name);
  });
  return Object.fromEntries(kept);
}
