/** Host names of a connection: the peer's (-h, -p) and our own (-l). A name from the DNS is a
 *  claim of the zone's owner. Its form is checked here, so that it is safe in an environment, a
 *  rule look-up and the log. */

import { ipBytes, ipFamily, sameAddress } from "../codec/dns/reverse.ts";
import type { Resolver } from "../dns/resolver.ts";

/** Characters of the longest host name (RFC 1035 2.3.4: 255 octets on the wire). Escapes can
 *  make the text of a name longer; such a name is not a host name. */
const MAX_TEXT = 253;

/** True for a name that can be a host name. The resolver's names are printable, see
 *  codec/dns/name.ts. A name that reads as an address is refused: a peer whose host is named
 *  127.0.0.1 would pass for the local host in a script that compares $SSLREMOTEHOST. */
function isHostName(name: string): boolean {
  return name !== "." && name.length <= MAX_TEXT && ipBytes(name) === undefined;
}

/** The first name in the PTR records of `ip`, as in tcpserver. Undefined if there is none, if it is
 *  not a host name, or if the DNS fails. */
async function firstName(
  ip: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (ipFamily(ip) === undefined) return undefined;
  const [name] = (await resolver.names(ip, signal)).values;
  return name !== undefined && isHostName(name) ? name : undefined;
}

/** The peer's host name (-h). With `paranoid` (-p), undefined unless a look-up of the name gives
 *  the peer's address: the owner of a reverse zone can claim any name. */
export async function remoteHost(
  ip: string,
  options: { paranoid: boolean; signal?: AbortSignal },
  resolver: Resolver,
): Promise<string | undefined> {
  const name = await firstName(ip, resolver, options.signal);
  if (name === undefined || !options.paranoid) return name;
  const type = ipFamily(ip) === 4 ? "A" : "AAAA";
  const { values } = await resolver.lookup(name, type, options.signal);
  return values.some((address) => sameAddress(address, ip)) ? name : undefined;
}

/** Our own host name: `given` (-l) unchanged and without a look-up, else the name of `ip`, the
 *  local address of the connection. */
export function localHost(
  ip: string,
  options: { given?: string; signal?: AbortSignal },
  resolver: Resolver,
): Promise<string | undefined> {
  if (options.given !== undefined) return Promise.resolve(options.given);
  return firstName(ip, resolver, options.signal);
}
