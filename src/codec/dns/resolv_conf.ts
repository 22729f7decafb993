/** Parses /etc/resolv.conf (resolv.conf(5)) and the server list of $DNSCACHEIP. Pure: no I/O.
 *  An unknown line of resolv.conf is skipped, as in every resolver, because the file serves many
 *  programs. $DNSCACHEIP is for this server only, so a mistake in it is an error. */

import { DecodeError } from "../bytes.ts";
import { ipBytes } from "./reverse.ts";

/** A server: an IP address, with an optional zone (`fe80::1%eth0`), and a port. */
export interface NameServer {
  address: string;
  port: number;
}

export interface ResolvConf {
  servers: NameServer[];
  /** Domains of the last `search` or `domain` line. */
  search: string[];
  /** Names with fewer dots than this are first tried with the search domains. */
  ndots: number;
  /** Longest wait of one try in seconds, if set. */
  timeout: number | undefined;
  /** Rounds over all servers, if set. */
  attempts: number | undefined;
}

/** Maximum number of servers used. More would only make a failure take longer. (glibc uses 3, djb
 *  16.) */
const MAX_SERVERS = 8;
/** Maximum number of domains searched. Each costs a look-up. (glibc 2.26 dropped its limit of 6.) */
const MAX_SEARCH = 16;
/** The caps of resolv.conf(5) for ndots, timeout and attempts. */
const MAX_NDOTS = 15;
const MAX_TIMEOUT = 30;
const MAX_ATTEMPTS = 5;

/** The port of DNS servers. */
const DNS_PORT = 53;

/** Parses the text of a resolv.conf file. */
export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = {
    servers: [],
    search: [],
    ndots: 1,
    timeout: undefined,
    attempts: undefined,
  };
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    const first = values[0];
    if (first === undefined) continue;
    switch (keyword) {
      case "nameserver":
        if (ipBytes(first) !== undefined && conf.servers.length < MAX_SERVERS) {
          conf.servers.push({ address: reachable(first), port: DNS_PORT });
        }
        break;
      case "domain":
        conf.search = [first];
        break;
      case "search":
        conf.search = values.slice(0, MAX_SEARCH);
        break;
      case "options":
        for (const option of values) applyOption(conf, option);
        break;
    }
  }
  return conf;
}

function applyOption(conf: ResolvConf, option: string): void {
  const [, name, digits] = /^(ndots|timeout|attempts):(\d{1,9})$/.exec(option) ?? [];
  const n = Number(digits);
  if (name === "ndots") conf.ndots = Math.min(n, MAX_NDOTS);
  if (name === "timeout") conf.timeout = Math.min(Math.max(n, 1), MAX_TIMEOUT);
  if (name === "attempts") conf.attempts = Math.min(Math.max(n, 1), MAX_ATTEMPTS);
}

/** Parses the list of $DNSCACHEIP: servers separated by blanks or commas, each `ip`, `ipv4:port` or
 *  `[ipv6]:port`. Also accepts djb's form, IPv4 addresses joined by dots (`127.0.0.1.127.0.0.2`).
 *  Throws DecodeError. */
export function parseServerList(text: string): NameServer[] {
  const servers: NameServer[] = [];
  for (const { 0: item, index } of text.matchAll(/[^\s,]+/g)) {
    servers.push(...parseServer(item, index));
  }
  return servers.slice(0, MAX_SERVERS);
}

function parseServer(item: string, at: number): NameServer[] {
  const numbers = /^\d+(\.\d+)+$/.test(item) ? item.split(".") : [];
  if (numbers.length > 4 && numbers.length % 4 === 0) {
    return Array.from(
      { length: numbers.length / 4 },
      (_, i) => numbers.slice(4 * i, 4 * i + 4).join("."),
    ).flatMap((address) => parseServer(address, at));
  }
  const [, bracketed, dotted, digits] = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(item) ??
    [];
  const address = bracketed ?? dotted ?? item;
  const port = digits === undefined ? DNS_PORT : Number(digits);
  if (ipBytes(address) === undefined || (bracketed !== undefined && !bracketed.includes(":"))) {
    throw new DecodeError(`server list: address: not an IP address at byte ${at}`);
  }
  if (port < 1 || port > 65535) {
    throw new DecodeError(`server list: port: not from 1 to 65535 at byte ${at}`);
  }
  return [{ address: reachable(address), port }];
}

/** Returns the address to send packets to. The unspecified address becomes the loopback address,
 *  because answers come from there and their source is checked. A zone is kept only for a
 *  link-local address; with another address (`::1%lo`) a runtime may refuse it. */
function reachable(address: string): string {
  const bytes = ipBytes(address);
  if (bytes?.every((byte) => byte === 0)) return bytes.length === 4 ? "127.0.0.1" : "::1";
  const linkLocal = bytes?.length === 16 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
  return linkLocal ? address : address.replace(/%.*/, "");
}
