/** The kernel's state of IPv4 connections with both ends on this machine. */

import * as fs from "node:fs";

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(4, "0");

/** True if a socket listens on `port` of any IPv4 address. Makes no connection, because that would keep a
 *  server that drains its queue accepting. */
export function listens(port: number): boolean {
  const LISTEN = "0A";
  const line = new RegExp(`:${hex(port)} [0-9A-F]{8}:0000 ${LISTEN} `);
  return line.test(fs.readFileSync("/proc/net/tcp", "latin1"));
}

/** The number of bytes from port `peer` to `port` that are not read yet, even if the connection is not
 *  accepted yet. Undefined: no such connection. */
export function unread(port: number, peer: number): number | undefined {
  const line = new RegExp(`:${hex(port)} \\S+:${hex(peer)} \\S+ \\S+:(\\S+) `);
  const found = line.exec(fs.readFileSync("/proc/net/tcp", "latin1"));
  return found ? parseInt(found[1] as string, 16) : undefined;
}
