/** Decides whether a certificate is for a host (RFC 6125 chapter 6, and 7.2 for wildcards).
 *  Pure: no I/O. Whole labels are compared, and only characters of host names are allowed: a
 *  name with a NUL (`bank.example\0.evil.example`) matches nothing. */

import { equalBytes } from "../bytes.ts";
import { type Ip, ipOrUndefined, unmapIp } from "../ip.ts";
import type { Certificate } from "./certificate.ts";
import { attributeText } from "./names.ts";

const COMMON_NAME = "2.5.4.3";

/** RFC 1035 2.3.4 limits the length. ASCII is required before the case is changed, which would turn
 *  the Kelvin sign, for example, into a `k`. */
const HOST = /^[!-~]{1,253}$/;
/** The underscore is not allowed in host names (RFC 952), but is in use. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** True if the certificate names the host. The DNS names of the subject alternative name decide.
 *  Only if there are none, the last common name of the subject decides. Case and a final dot of
 *  the host are ignored. An address in text form never matches: see `matchesAddress`. */
export function matchesHost(certificate: Certificate, host: string): boolean {
  const labels = hostLabels(host.endsWith(".") ? host.slice(0, -1) : host);
  if (!labels) return false;
  if (certificate.dnsNames.length > 0) {
    return certificate.dnsNames.some((name) => matchesName(name, labels));
  }
  const name = commonName(certificate);
  return name !== undefined && matchesName(name, labels);
}

/** True if the certificate names this address (4 or 16 bytes). The addresses of the subject
 *  alternative name decide. Only if there are none, the last common name of the subject does. */
export function matchesAddress(certificate: Certificate, address: Uint8Array): boolean {
  if (certificate.ips.length > 0) return certificate.ips.some((ip) => equalBytes(ip, address));
  const ip = commonAddress(commonName(certificate));
  return ip !== undefined && equalBytes(ip, address);
}

/** The last common name of the subject, decoded and unescaped. Undefined: there is none, or it
 *  cannot be decoded. */
export function commonName({ subject }: Certificate): string | undefined {
  const common = subject.rdns.flat().findLast(({ oid }) => oid === COMMON_NAME);
  return common && attributeText(common);
}

/** Returns the address if a common name is one. */
export function commonAddress(name: string | undefined): Ip | undefined {
  const ip = name === undefined ? undefined : ipOrUndefined(name);
  return ip && unmapIp(ip);
}

/** The labels of a host name in lower case. Undefined if `host` is not a host name. */
export function hostLabels(host: string): string[] | undefined {
  if (!HOST.test(host)) return undefined;
  const labels = host.toLowerCase().split(".");
  if (!labels.every((label) => LABEL.test(label))) return undefined;
  // A name with a number as its last label is refused: it reads as an address (as 127.1 does).
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") ? undefined : labels;
}

/** Compares a name of the certificate with a host. `*` stands for the whole left-most label, and at
 *  least two labels must follow: no owner has all of `*.com`. */
function matchesName(name: string, host: readonly string[]): boolean {
  const wild = name.startsWith("*.");
  const labels = hostLabels(wild ? name.slice(2) : name);
  if (!labels || (wild && labels.length < 2)) return false;
  return labels.join(".") === (wild ? host.slice(1) : host).join(".");
}
