/** Host names around a connection: the peer's (-h, -p), our own (-l), and the addresses behind the
 *  server's `host` operand. A name from the DNS is a claim by whoever owns the zone: it is checked
 *  for form here, so that it can go into an environment, a rule look-up and the log. */

import { FatalError } from "../errors.ts";
import { ipBytes, ipFamily, sameAddress } from "../codec/dns/reverse.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Lookup } from "../dns/cache.ts";

/** Characters of the longest name (RFC 1035 2.3.4: 255 octets on the wire). Escapes make the text
 *  of a name longer; a name that needs so many is no host's. */
const MAX_TEXT = 253;

/** True for a name that can stand for a host. The resolver's names are printable, see dns/name.ts.
 *  One that reads as an address is refused: a peer who names his host 127.0.0.1 would pass for the
 *  local host wherever a script compares $SSLREMOTEHOST. */
function isHostName(name: string): boolean {
  return name !== "." && name.length <= MAX_TEXT && ipBytes(name) === undefined;
}

/** The first name in the PTR records of `ip`, as tcpserver takes it; undefined when there is none,
 *  it is no host's name, or the DNS fails. */
async function firstName(
  ip: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (ipFamily(ip) === undefined) return undefined;
  const [name] = (await resolver.names(ip, signal)).values;
  return name !== undefined && isHostName(name) ? name : undefined;
}

/** The peer's host name (-h). With `paranoid` (-p) only when a forward look-up of the name gives the
 *  peer's address back: without that, anyone who holds a reverse zone can claim any name. */
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

/** Our own host name: `given` (-l) as it stands, without asking the DNS, else the name of `ip`, the
 *  connection's local address. */
export function localHost(
  ip: string,
  options: { given?: string; signal?: AbortSignal },
  resolver: Resolver,
): Promise<string | undefined> {
  if (options.given !== undefined) return Promise.resolve(options.given);
  return firstName(ip, resolver, options.signal);
}

/** The addresses of the server's own `host` operand: an address as it is (brackets allowed), a name
 *  after qualification, by A and AAAA look-ups; at least one, IPv4 first. `family` 4 or 6 wants
 *  addresses of that family only. Throws `FatalError`: a server that cannot tell where to listen
 *  must not start. */
export async function hostOperand(
  host: string,
  family: 0 | 4 | 6,
  resolver: Resolver,
): Promise<string[]> {
  let failure: Lookup["status"] = "badname";
  // What is complete in itself is not qualified: `::1` has no dot, but is no short name.
  const own = ownAddresses(host, family);
  if (own !== undefined) return own.length > 0 ? own : refuse(host, "nodata");
  for (const candidate of resolver.config.qualify(host)) {
    const lookup = await hostAddresses(candidate, family, resolver);
    if (lookup.status === "found") return [...lookup.values];
    if (lookup.status === "badname") continue; // a domain of the search list made the name too long
    failure = lookup.status;
    // As in djb's search: what the DNS cannot say now must not change which host is meant.
    if (failure !== "nxdomain" && failure !== "nodata") break;
  }
  return refuse(host, failure);
}

/** False for a host operand that is found without the DNS. */
export function isDnsName(host: string): boolean {
  return ownAddresses(host, 0) === undefined;
}

async function hostAddresses(name: string, family: 0 | 4 | 6, resolver: Resolver): Promise<Lookup> {
  // A rewriting rule can lead to an address.
  const own = ownAddresses(name, family);
  if (own === undefined) return await resolver.addresses(name, family);
  return { status: own.length > 0 ? "found" : "nodata", values: own };
}

/** The addresses of the wanted family that `host` stands for without the DNS, undefined when it is
 *  a name to look up. RFC 6761 6.3: localhost never goes to the DNS. */
function ownAddresses(host: string, family: 0 | 4 | 6): string[] | undefined {
  const literal = host.replace(/^\[(.*)\]$/, "$1");
  const addresses = /^(.*\.)?localhost\.?$/i.test(host) ? ["127.0.0.1", "::1"] : [literal];
  if (ipBytes(addresses[0] ?? "") === undefined) return undefined;
  return addresses.filter((address) => family === 0 || ipFamily(address) === family);
}

function refuse(host: string, status: Lookup["status"]): never {
  throw new FatalError(
    `unable to find address of ${JSON.stringify(host)}: ${CAUSE[status]}`,
    undefined,
    "give host as an address of this machine; 0 means all of them",
  );
}

const CAUSE: Record<Lookup["status"], string> = {
  found: "found",
  nxdomain: "no such name",
  nodata: "no address of the wanted family",
  servfail: "no dns server gave a usable answer",
  timeout: "dns servers did not answer in time",
  loop: "its aliases form a loop",
  badname: "not a host name",
  busy: "too many look-ups wait",
  aborted: "look-up called off",
};
