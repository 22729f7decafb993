/** Host names of a connection: the peer's (-h, -p) and our own (-l). A name from the DNS is a
 *  claim of the zone's owner. Its form is checked here, so that it is safe in an environment, a
 *  rule look-up and the log. */

import { ipBytes, ipFamily, sameAddress } from "../codec/dns/reverse.ts";
import type { LookupResult } from "../dns/cache.ts";
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

/** Why an address has no name. `failed`: the DNS gave no answer. `mismatch`: the name does not
 *  resolve to the address (-p). `none`: there is no name, or none that can be a host name. */
export type NameProblem = "failed" | "mismatch" | "none";

/** The result of a look-up: a name or a problem. */
export type FoundName =
  | { readonly name: string; readonly problem?: undefined }
  | { readonly name?: undefined; readonly problem: NameProblem };

const isAnswer = ({ status }: LookupResult): boolean =>
  status === "found" || status === "nxdomain" || status === "nodata";

/** The first name in the PTR records of `ip`, as in tcpserver. */
async function firstName(
  ip: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<FoundName> {
  if (ipFamily(ip) === undefined) return { problem: "none" };
  const result = await resolver.names(ip, signal);
  const [name] = result.values;
  if (name !== undefined && isHostName(name)) return { name };
  return { problem: isAnswer(result) ? "none" : "failed" };
}

/** The peer's host name (-h). With `paranoid` (-p), there is none unless a look-up of the name gives
 *  the peer's address: the owner of a reverse zone can claim any name. */
export async function remoteName(
  ip: string,
  options: { paranoid: boolean; signal?: AbortSignal },
  resolver: Resolver,
): Promise<FoundName> {
  const found = await firstName(ip, resolver, options.signal);
  if (found.name === undefined || !options.paranoid) return found;
  const type = ipFamily(ip) === 4 ? "A" : "AAAA";
  const result = await resolver.lookup(found.name, type, options.signal);
  if (result.values.some((address) => sameAddress(address, ip))) return found;
  return { problem: isAnswer(result) ? "mismatch" : "failed" };
}

/** Our own host name: `given` (-l) unchanged and without a look-up, else the name of `ip`, the
 *  local address of the connection. */
export async function localName(
  ip: string,
  options: { given?: string; signal?: AbortSignal },
  resolver: Resolver,
): Promise<FoundName> {
  if (options.given !== undefined) return { name: options.given };
  return await firstName(ip, resolver, options.signal);
}
