/** `--check`: which variable a name that is none was meant to be. Pure. */

/** Everything that the server reads from its environment or from rules. */
const KNOWN = [
  "CERTFILE",
  "CERTCHAINFILE",
  "KEYFILE",
  "SNI_STRICT",
  "TLS_MIN_VERSION",
  "TLS_MAX_VERSION",
  "CIPHERS",
  "DHFILE",
  "CAFILE",
  "CADIR",
  "CRLFILE",
  "VERIFYDEPTH",
  "CCAFILE",
  "CCADIR",
  "CCAVERIFY",
  "MAXCONIP",
  "MAXCONRATE",
  "MAXCONNET",
  "DNSCACHEIP",
  "LOCALDOMAIN",
  "DNSREWRITEFILE",
  "GIDLIST",
] as const;

/** Names that other servers use, or that one would guess. */
const OTHER: Readonly<Record<string, string>> = {
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
};

/** The variable meant by `name`: another name for it, its own in lower case, or one letter off.
 *  Undefined when the name is right, or says nothing to us. `CERTFILE:name` counts as `CERTFILE`. */
export function spelling(name: string): string | undefined {
  const [plain = "", ...rest] = name.split(":");
  const known: readonly string[] = KNOWN;
  if (known.includes(plain)) return undefined;
  const upper = plain.toUpperCase();
  const meant = OTHER[upper] ?? known.find((one) => one === upper) ??
    known.find((one) => one.length >= 6 && oneOff(upper, one));
  return meant === undefined ? undefined : [meant, ...rest].join(":");
}

/** One letter too many, too few or wrong, or two that changed places. */
function oneOff(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const [restA, restB] = [a.slice(at), b.slice(at)];
  return restA.slice(1) === restB.slice(1) || restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    (restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2));
}
