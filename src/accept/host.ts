/** Stage 1: the addresses of the server's `host` operand. A name is looked up in the DNS. */

import { ipBytes, ipFamily } from "../codec/dns/reverse.ts";
import type { Options } from "../config/options.ts";
import type { LookupResult } from "../dns/cache.ts";
import { Resolver } from "../dns/resolver.ts";
import { FatalError } from "../errors.ts";
import { checkNamed, type ListenAddress, literalHost, portNumber } from "./address.ts";

/** Returns the address to listen on. Looks up a name. Throws `FatalError`. */
export async function listenAddress(options: Options, resolver: Resolver): Promise<ListenAddress> {
  const { host, backlog } = options;
  const port = portNumber(options.port);
  const where = literalHost(host) ??
    { ip: await namedAddress(options, resolver), dualStack: false };
  return { ...where, port, backlog, interface: options.interface };
}

/** The address of a host given by name. Throws `FatalError`. */
export async function namedAddress(
  { host, family }: Pick<Options, "host" | "family">,
  resolver: Resolver,
): Promise<string> {
  const [ip] = await hostOperand(host, family ?? 0, resolver) as [string];
  checkNamed(host, ip);
  return ip;
}

/** Returns the addresses of the server's `host` operand, at least one, IPv4 first. An address
 *  (brackets allowed) stays as it is. A name is qualified, then looked up as A and AAAA. With
 *  `family` 4 or 6, only addresses of that family are returned. `hint`: the remedy in the error,
 *  by default for an address to listen on. Throws `FatalError`: a server that does not know where
 *  to listen must not start. */
export async function hostOperand(
  host: string,
  family: 0 | 4 | 6,
  resolver: Resolver,
  hint?: string,
): Promise<string[]> {
  let failure: LookupResult["status"] = "badname";
  // An address or localhost is not qualified: `::1` has no dot, but is not a short name.
  const own = ownAddresses(host, family);
  if (own !== undefined) return own.length > 0 ? own : refuse(host, "nodata", hint);
  for (const candidate of resolver.config.qualify(host)) {
    const lookup = await hostAddresses(candidate, family, resolver);
    if (lookup.status === "found") return [...lookup.values];
    if (lookup.status === "badname") continue; // a domain of the search list made the name too long
    failure = lookup.status;
    // As in djb's search: a temporary failure of the DNS must not change which host is meant.
    if (failure !== "nxdomain" && failure !== "nodata") break;
  }
  return refuse(host, failure, hint);
}

/** True if the host operand must be looked up in the DNS. */
export function isDnsName(host: string): boolean {
  return ownAddresses(host, 0) === undefined;
}

async function hostAddresses(
  name: string,
  family: 0 | 4 | 6,
  resolver: Resolver,
): Promise<LookupResult> {
  // A rewriting rule can lead to an address.
  const own = ownAddresses(name, family);
  if (own === undefined) return await resolver.addresses(name, family);
  return { status: own.length > 0 ? "found" : "nodata", values: own };
}

/** The addresses of the given family that `host` denotes without the DNS, or undefined if it is
 *  a name to look up. RFC 6761 6.3: localhost is never looked up in the DNS. */
function ownAddresses(host: string, family: 0 | 4 | 6): string[] | undefined {
  const literal = host.replace(/^\[(.*)\]$/, "$1");
  const addresses = /^(.*\.)?localhost\.?$/i.test(host) ? ["127.0.0.1", "::1"] : [literal];
  if (ipBytes(addresses[0] ?? "") === undefined) return undefined;
  return addresses.filter((address) => family === 0 || ipFamily(address) === family);
}

function refuse(
  host: string,
  status: LookupResult["status"],
  hint = "give host as an address of this machine; 0 means all of them",
): never {
  throw new FatalError(
    `unable to find address of ${JSON.stringify(host)}: ${CAUSE[status]}`,
    undefined,
    hint,
  );
}

const CAUSE: Record<LookupResult["status"], string> = {
  found: "found",
  nxdomain: "no such name",
  nodata: "no address of the required family",
  servfail: "no dns server gave a usable answer",
  timeout: "dns servers did not answer in time",
  loop: "its aliases form a loop",
  badname: "not a host name",
  busy: "too many look-ups are waiting",
  aborted: "look-up cancelled",
};
