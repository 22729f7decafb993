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

/** Returns a host name in A-labels (`bücher.example` becomes `xn--bcher-kva.example`), as IDNA and
 *  UTS #46 say; any other text unchanged. */
export function asciiHost(host: string): string {
  // Characters that end or change the host of a URL are not part of a name.
  if (!/[^\x20-\x7e]/.test(host) || /[\s/?#@:\\%[\]]/.test(host)) return host;
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return host;
  }
}

/** The address that `host` is, without a zone (`%eth0`) and an IPv4-mapped one as IPv4. Undefined: it
 *  is a name. */
export function addressOf(host: string): Ip | undefined {
  const ip = ipOrUndefined(host.includes(":") ? host.replace(/%[^%]*$/, "") : host);
  return ip && unmapIp(ip);
}

/** True for `0`, the name of this machine. */
export function isThisMachine(host: string): boolean {
  return host === "" || host === "0";
}

/** True if the certificate is for this host (RFC 6125, RFC 9525): an address by the addresses of
 *  the subject alternative name, a name by its DNS names. The common name counts where the
 *  certificate has no name of that kind. */
export function isFor(certificate: Certificate, host: string): boolean {
  if (isThisMachine(host)) {
    return matchesHost(certificate, LOCAL_HOST) ||
      LOCAL_ADDRESSES.some((address) => matchesAddress(certificate, address));
  }
  const address = addressOf(host);
  return address ? matchesAddress(certificate, address) : matchesHost(certificate, asciiHost(host));
}
