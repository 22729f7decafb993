/** Does a certificate stand for this host? RFC 6125 chapter 6, and 7.2 for wildcards. Pure: no I/O.
 *  Only a match of whole labels counts, in the characters of host names: a name with a NUL in it
 *  (`bank.example\0.evil.example`) matches nothing. */

import { equalBytes } from "../bytes.ts";
import type { Certificate } from "./certificate.ts";
import { attributeText } from "./names.ts";

const COMMON_NAME = "2.5.4.3";

/** RFC 1035 2.3.4 gives the length. ASCII only, looked at before the case is changed: the Kelvin
 *  sign, for one, would become a `k`. */
const HOST = /^[!-~]{1,253}$/;
/** The underscore is no part of a host name (RFC 952) but in use. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** True if the certificate names the host. The DNS names of the subject alternative name decide;
 *  only if it has none, the last common name of the subject does. Case does not matter, nor does
 *  a dot at the end of the host. An address in text form never matches: see `matchesAddress`. */
export function matchesHost(certificate: Certificate, host: string): boolean {
  const labels = hostLabels(host.endsWith(".") ? host.slice(0, -1) : host);
  if (!labels) return false;
  if (certificate.dnsNames.length > 0) {
    return certificate.dnsNames.some((name) => matchesName(name, labels));
  }
  const common = certificate.subject.rdns.flat().findLast(({ oid }) => oid === COMMON_NAME);
  const name = common && attributeText(common);
  return name !== undefined && matchesName(name, labels);
}

/** True if the certificate names this address: 4 or 16 bytes, compared with the addresses of the
 *  subject alternative name and with nothing else. */
export function matchesAddress(certificate: Certificate, address: Uint8Array): boolean {
  return certificate.ips.some((ip) => equalBytes(ip, address));
}

/** The labels of a host name in lower case; undefined if it is none. */
export function hostLabels(host: string): string[] | undefined {
  if (!HOST.test(host)) return undefined;
  const labels = host.toLowerCase().split(".");
  if (!labels.every((label) => LABEL.test(label))) return undefined;
  // A last label of digits makes an address (127.1 is one too), which no name may stand for.
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") ? undefined : labels;
}

/** Compares a name of the certificate with a host. `*` stands for the whole left-most label, and
 *  only where two labels or more follow: nobody owns all of `*.com`. */
function matchesName(name: string, host: readonly string[]): boolean {
  const wild = name.startsWith("*.");
  const labels = hostLabels(wild ? name.slice(2) : name);
  if (!labels || (wild && labels.length < 2)) return false;
  return labels.join(".") === (wild ? host.slice(1) : host).join(".");
}
