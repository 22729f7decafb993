/** Finds the variable that a misspelled name was meant to be. Pure. */

import { isOneEdit } from "../config/edit_distance.ts";
import { findOwn, hasServerNames, isListed, type VariableName } from "../config/variables.ts";

/** Minimum lengths of names in another case, and of names with one letter off. Shorter names are
 *  too similar to each other. */
const MIN_LETTERS = 4;
const MIN_ONE_OFF = 5;

/** Names that other servers use, or that users guess. */
const OTHER: Readonly<Record<string, VariableName>> = {
  CERT_FILE: "CERTFILE",
  SSL_CERTFILE: "CERTFILE",
  SSLCERTFILE: "CERTFILE",
  TLS_CERTFILE: "CERTFILE",
  TLS_CERT: "CERTFILE",
  CHAINFILE: "CERTCHAINFILE",
  KEY_FILE: "KEYFILE",
  SSL_KEYFILE: "KEYFILE",
  SSLKEYFILE: "KEYFILE",
  TLS_KEYFILE: "KEYFILE",
  TLS_KEY: "KEYFILE",
  CA_FILE: "CAFILE",
  CA_DIR: "CADIR",
  CAPATH: "CADIR",
  CRL_FILE: "CRLFILE",
  CIPHERLIST: "CIPHERS",
  SSL_CIPHERS: "CIPHERS",
  TLSMINVERSION: "TLS_MIN_VERSION",
  TLSMAXVERSION: "TLS_MAX_VERSION",
  TLS_MIN: "TLS_MIN_VERSION",
  TLS_MAX: "TLS_MAX_VERSION",
  MAXCONPERIP: "MAXCONIP",
  MAX_CON_IP: "MAXCONIP",
  DNSCACHE: "DNSCACHEIP",
  TLS_UID: "SSL_UID",
  TLS_GID: "SSL_GID",
  TLS_USER: "SSL_USER",
  TLS_GROUP: "SSL_GROUP",
  TLS_CHROOT: "SSL_CHROOT",
  SSL_ROOT: "SSL_CHROOT",
};

/** Returns the variable meant by `name`: another name for it, its own in lower case, or one letter
 *  off. Undefined if the name is right, or similar to none. A server name is kept if the variable
 *  can have one: `CERTFIL:a.example` means `CERTFILE:a.example`, and `CIPHERS:a.example` means
 *  `CIPHERS`. */
export function spelling(name: string): string | undefined {
  if (isListed(name)) return undefined;
  const [plain = "", ...rest] = name.split(":");
  const upper = plain.toUpperCase();
  const other = Object.hasOwn(OTHER, upper) ? OTHER[upper] : undefined;
  const meant = other ??
    findOwn((one) => one === upper && one.length >= MIN_LETTERS) ??
    findOwn((one) => one.length >= MIN_ONE_OFF && isOneEdit(upper, one));
  return meant && hasServerNames(meant) ? [meant, ...rest].join(":") : meant;
}
