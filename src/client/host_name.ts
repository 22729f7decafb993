/** The name of a server as the user gives it: a host name, an address, or `0` for this machine.
 *  No I/O. */

import type { Certificate } from "../codec/x509/certificate.ts";
import { matchesAddress, matchesHost } from "../codec/x509/match.ts";
import { type Ip, ipOrUndefined, unmapIp } from "../codec/ip.ts";

/** Names of this machine, which `0` and the empty host stand for. */
const LOCAL_HOST = "localhost";
const LOCAL_ADDRESSES: readonly Ip[] = [
  Uint8Array.of(127, 0, 0, 1),
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
];

/** Converts a host name to A-labels by UTS #46: `bücher.example` becomes `xn--bcher-kva.example`.
 *  Returns any other text unchanged. */
export function asciiHost(host: string): string {
  // Characters that end or change the host of a URL are not part of a name.
  if (!/[^\x20-\x7e]/.test(host) || /[\s/?#@:\\%[\]]/.test(host)) return host;
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return host;
  }
}

/** Returns the address if `host` is one, without its zone (`%eth0`). An IPv4-mapped address becomes
 *  IPv4. Undefined: `host` is a name. */
export function addressOf(host: string): Ip | undefined {
  const ip = ipOrUndefined(host.includes(":") ? host.replace(/%[^%]*$/, "") : host);
  return ip && unmapIp(ip);
}

/** True for `0`, the name of this machine. */
export function isThisMachine(host: string): boolean {
  return host === "" || host === "0";
}

/** True if the certificate is for this host (RFC 6125, RFC 9525). An address is compared with the
 *  addresses of the subject alternative name, a name with its DNS names. If it has none of that
 *  kind, the common name is compared. */
export function isFor(certificate: Certificate, host: string): boolean {
  if (isThisMachine(host)) {
    return matchesHost(certificate, LOCAL_HOST) ||
      LOCAL_ADDRESSES.some((address) => matchesAddress(certificate, address));
  }
  const address = addressOf(host);
  return address ? matchesAddress(certificate, address) : matchesHost(certificate, asciiHost(host));
}
