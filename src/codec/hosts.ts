/** The format of /etc/hosts (hosts(5)): an address, its name, and aliases on each line. Pure: no
 *  I/O. */

import { formatIp, ipOrUndefined, unmapIp } from "./ip.ts";

/** Host names as they occur in the DNS, so that they are safe in an environment and in a log. */
const NAME = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/;
const MAX_NAME = 253;

/** Returns the first name of each address. If an address has several lines, the first counts. Like
 *  other readers, skips a line that it cannot parse. Addresses are in canonical text. */
export function parseHosts(text: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [address = "", name = ""] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    const ip = ipOrUndefined(address);
    const usable = NAME.test(name) && name.length <= MAX_NAME && ipOrUndefined(name) === undefined;
    if (ip === undefined || !usable) continue;
    const key = formatIp(unmapIp(ip));
    if (!names.has(key)) names.set(key, name);
  }
  return names;
}
