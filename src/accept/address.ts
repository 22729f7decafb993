/** Stage 1: interprets the operands host and port, as far as this needs no DNS. */

import { latin1 } from "../codec/bytes.ts";
import { parseIp, unmapIp } from "../codec/ip.ts";
import { FatalError, reason } from "../errors.ts";
import { localFiles } from "../files/files.ts";

/** The address to listen on, after all look-ups. */
export interface ListenAddress {
  ip: string;
  port: number;
  /** True for the host `:0`: the socket on `::` also accepts IPv4. */
  dualStack: boolean;
  /** -I, by name. */
  interface: string | undefined;
  backlog: number;
}

/** The address that `host` denotes without a look-up: `0` and `0.0.0.0` are all IPv4 addresses,
 *  `::` all IPv6 addresses, `:0` both; a literal is itself. Undefined for a name. */
export function literalHost(host: string): { ip: string; dualStack: boolean } | undefined {
  if (host === "0") return { ip: "0.0.0.0", dualStack: false };
  if (host === ":0") return { ip: "::", dualStack: true };
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(bare) || bare.includes(":")) {
    return { ip: bare, dualStack: false };
  }
  return undefined;
}

/** Checks the address that a look-up of `host` returned. The DNS must not make the server listen on
 *  every address, or on a multicast or reserved address. Throws `FatalError`. */
export function checkNamed(host: string, ip: string): void {
  const bytes = unmapIp(parseIp(ip));
  const [first = 0] = bytes;
  const four = bytes.length === 4;
  const every = bytes.every((byte) => byte === 0);
  if (!every && !(four ? first >= 224 : first === 0xff)) return;
  throw new FatalError(
    `unable to listen on ${JSON.stringify(host)}: the name leads to ${ip}, ${
      every ? "which means every address" : "which is not the address of one host"
    }`,
    undefined,
    "give host as an address of this machine; 0 or :: mean all of them",
  );
}

/** Largest /etc/services, in bytes. Debian's has 13 KB. */
const MAX_SERVICES = 4 << 20;

/** A number from 0 to 65535 or a name from /etc/services. Throws `FatalError`. */
export function portNumber(port: string, services = "/etc/services"): number {
  if (/^[0-9]+$/.test(port)) {
    const number = Number(port);
    if (number > 65_535) {
      throw new FatalError(
        `unable to use port ${port}: above 65535`,
        undefined,
        "port is a number up to 65535, 0 for any free one, or a service's name",
      );
    }
    return number;
  }
  let text = "";
  try {
    text = latin1(localFiles.read(services, MAX_SERVICES));
  } catch (error) {
    throw new FatalError(
      `unable to find port ${port}: ${reason(error)}`,
      undefined,
      "give the port as a number",
    );
  }
  for (const line of text.split("\n")) {
    const [name, numbered = "", ...aliases] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    const [number, protocol] = numbered.split("/");
    if (protocol === "tcp" && (name === port || aliases.includes(port))) return Number(number);
  }
  throw new FatalError(
    `unable to find port ${port}: no such tcp service in ${services}`,
    undefined,
    "give the port as a number",
  );
}
