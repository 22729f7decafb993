/** Reads the values of the options of `s_server` (s_server_table.ts). A value that cannot be used is a `UsageError`. */

import { UsageError } from "../errors.ts";
import type { TlsVersion } from "../runtime/runtime.ts";
import type { ServerSettings } from "./s_server_settings.ts";

/** A whole number. Larger ones become `max`. */
export function atMost(name: string, text: string, max: number, min = 0): number {
  const n = /^[0-9]{1,10}$/.test(text) ? Number(text) : NaN;
  if (n >= min) return Math.min(n, max);
  throw new UsageError(`option ${name} needs a number from ${min} on, not '${text}'`);
}

/** -tls1_2 and so on: this version alone. */
export const only = (version: TlsVersion) => (s: ServerSettings): void => {
  s.minVersion = s.maxVersion = version;
};

const VERSION_NAMES: Readonly<Record<string, TlsVersion>> = {
  "TLSv1": "TLSv1",
  "TLSv1.0": "TLSv1",
  "TLSv1.1": "TLSv1.1",
  "TLSv1.2": "TLSv1.2",
  "TLSv1.3": "TLSv1.3",
};

/** -min_protocol, -max_protocol. `None` is undefined: no limit. Throws `UsageError`. */
export function versionNamed(name: string, text: string): TlsVersion | undefined {
  const version = Object.hasOwn(VERSION_NAMES, text) ? VERSION_NAMES[text] : undefined;
  if (version !== undefined || text === "None") return version;
  throw new UsageError(
    `option ${name} needs TLSv1, TLSv1.1, TLSv1.2, TLSv1.3 or None, not '${text}'`,
  );
}

/** -accept [host:]port; `*` and an empty host are all addresses. */
export function accept(s: ServerSettings, value: string): void {
  const [, host = "", port = ""] = /^(?:(.*):)?([^:]+)$/.exec(value) ?? [];
  if (port === "") throw new UsageError(`option -accept needs [host:]port, not '${value}'`);
  s.port = port;
  s.host = host === "" || host === "*" ? ":0" : host;
}

/** The form of a file is recognized; PKCS #12 and engines are not supported. */
export function form(name: string) {
  return (_s: ServerSettings, value: string): void => {
    if (/^(PEM|DER|P|D|pem|der)$/.test(value)) return;
    throw new UsageError(
      `unable to honour ${name} ${value}: files are read in PEM or DER form`,
      "convert the file: openssl pkcs12 -in FILE -nodes -out FILE.pem",
    );
  };
}
