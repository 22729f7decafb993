/** Turns environment variables into the settings of a TLS context
 *  (docs/specification.md#tls-settings). Reads no file. The variables come from the server's
 *  environment, with those of a rule on top. */

import { DEFAULTS, type RuleVariable } from "../config/variables.ts";
import { EXIT, FatalError, quoted } from "../errors.ts";
import type { TlsVersion } from "../runtime/runtime.ts";
import { groupNames } from "./groups.ts";

/** Looks a variable up; returns undefined if it is not set. */
export type VariableLookup = (name: RuleVariable) => string | undefined;

export interface TlsConfig {
  /** Values that name the files with certificates, and with keys; see `namedFiles`. */
  certificates: string;
  keys: string;
  ciphers: string | undefined;
  minVersion: TlsVersion;
  maxVersion: TlsVersion;
  alpn: string[] | undefined;
  /** See groups.ts. */
  groups: string[] | undefined;
}

const VERSIONS: readonly TlsVersion[] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/** Maximum length of a value, in characters. A path has at most 4,096 bytes (PATH_MAX); a list has
 *  a few paths. */
const MAX_VALUE = 16_384;

/** Throws `FatalError` with the variable's name if a value is invalid. */
export function tlsConfig(lookup: VariableLookup): TlsConfig {
  const chain = value(lookup, "CERTCHAINFILE") || value(lookup, "CERTFILE");
  if (!chain) {
    throw new FatalError(
      "unable to find a certificate: neither CERTFILE nor CERTCHAINFILE is set",
      EXIT.system,
      "set CERTFILE and KEYFILE to PEM files, or try --self-signed",
    );
  }
  const ciphers = value(lookup, "CIPHERS") || undefined;
  if (ciphers !== undefined) refuseTls13Suites("CIPHERS", ciphers);
  return {
    certificates: chain,
    keys: value(lookup, "KEYFILE") || chain,
    ciphers,
    ...tlsVersions(lookup),
    alpn: alpn(value(lookup, "ALPN")),
    groups: groupNames(value(lookup, "CURVES")),
  };
}

/** True if the list of ALPN has HTTP/2, with or without TLS. */
export const hasHttp2 = (list: string | undefined): boolean =>
  /(?:^|,)\s*h2c?\s*(?:,|$)/.test(list ?? "");

/** Throws `FatalError` if a rule's list of ALPN has HTTP/2. Without an error, a client would agree on a protocol that
 *  the handler does not speak. */
export function refuseHttp2(list: string | undefined): void {
  if (!hasHttp2(list)) return;
  throw new FatalError(
    `unable to use ALPN ${quoted(list ?? "")}: --www and --files do not speak HTTP/2`,
    EXIT.system,
    "set ALPN=http/1.1 in the rule, or leave ALPN out",
  );
}

/** The versions of TLS_MIN_VERSION and TLS_MAX_VERSION. Throws `FatalError`. */
export function tlsVersions(lookup: VariableLookup): Pick<TlsConfig, "minVersion" | "maxVersion"> {
  const minVersion = version(lookup, "TLS_MIN_VERSION") ?? DEFAULTS.TLS_MIN_VERSION;
  const maxVersion = version(lookup, "TLS_MAX_VERSION") ?? DEFAULTS.TLS_MAX_VERSION;
  if (VERSIONS.indexOf(minVersion) > VERSIONS.indexOf(maxVersion)) {
    throw new FatalError(
      `unable to use TLS_MIN_VERSION: ${minVersion} is above TLS_MAX_VERSION ${maxVersion}`,
      EXIT.system,
      "lower TLS_MIN_VERSION, or raise TLS_MAX_VERSION; unset, they are TLSv1.2 and TLSv1.3",
    );
  }
  return { minVersion, maxVersion };
}

/** Throws `FatalError` for a cipher list that names suites of TLS 1.3. `from`: the variable or
 *  option that the list comes from. */
export function refuseTls13Suites(from: string, ciphers: string): void {
  if (!/TLS_(AES|CHACHA20)_/.test(ciphers)) return;
  throw new FatalError(
    `unable to use ${from} ${quoted(ciphers)}: the suites of TLS 1.3 cannot be chosen`,
    EXIT.system,
    "list only ciphers of TLS 1.2, or set TLS_MAX_VERSION=TLSv1.2",
  );
}

function value(lookup: VariableLookup, name: RuleVariable): string | undefined {
  const text = lookup(name);
  if (text !== undefined && text.length > MAX_VALUE) {
    const why = `unable to use ${name}: longer than ${MAX_VALUE} characters`;
    throw new FatalError(why, EXIT.system, `shorten or unset ${name}`);
  }
  return text;
}

/** `TLSv1.2`, `TLS1.2` or `1.2`. */
function version(
  lookup: VariableLookup,
  name: "TLS_MIN_VERSION" | "TLS_MAX_VERSION",
): TlsVersion | undefined {
  const text = value(lookup, name);
  if (!text) return undefined;
  const digits = /^(?:tls)?v?(1(?:\.[0-3])?)$/i.exec(text)?.[1];
  const known = digits === undefined
    ? undefined
    : VERSIONS.find((version) => version === (`TLSv${digits}`.replace(/^TLSv1\.0$/, "TLSv1")));
  if (known) return known;
  throw new FatalError(
    `unable to use ${name}: '${text}' is not one of ${VERSIONS.join(", ")}`,
    EXIT.system,
    `set ${name} to one of them, or unset it`,
  );
}

/** RFC 7301 3.1: each name has 1 to 255 bytes. */
function alpn(list: string | undefined): string[] | undefined {
  if (!list) return undefined;
  const names = list.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!/^[\x21-\x7e]{1,255}$/.test(name)) {
      throw new FatalError(
        `unable to use ALPN: '${name}' is not a protocol name`,
        EXIT.system,
        "set it like ALPN=h2,http/1.1, or unset it",
      );
    }
  }
  return names;
}
